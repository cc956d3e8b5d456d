// The registry of CNCF Distribution with the storage and the authentication that the tests use, so that none of
// the clouds' SDKs is built: its cmd/registry is a list of such imports too.
package main

import (
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"

	"github.com/distribution/distribution/v3/registry"
)

func main() { registry.RootCmd.Execute() }
