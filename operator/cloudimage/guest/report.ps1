# Prints what this server sees of itself on its serial ports: one signed line, again and again.
# For the PowerShell 5.1 of Windows and cloudbase-init. The lines above set $token and $user.
$ErrorActionPreference = 'SilentlyContinue'
$sha256 = [System.Security.Cryptography.SHA256]::Create()

function Get-Hex([byte[]]$bytes) {
    [System.BitConverter]::ToString($sha256.ComputeHash($bytes)).Replace('-', '').ToLower()
}

function Get-HashOf([string]$text) { Get-Hex ([System.Text.Encoding]::ASCII.GetBytes($text)) }

# Lines as one word: at most $most of them, of characters that mean nothing else.
function Get-Listed($items, [int]$most) {
    $clean = @($items) | Where-Object { $_ } | Select-Object -First $most |
        ForEach-Object { "$_" -replace '[^A-Za-z0-9.:/%_+@-]', '' }
    @($clean) -join ','
}

function Get-SecondsUp {
    $system = Get-CimInstance Win32_OperatingSystem
    [int]($system.LocalDateTime - $system.LastBootUpTime).TotalSeconds
}

function Get-Alias([string]$alias) { $alias -replace ' ', '_' }

function Get-Addresses {
    Get-NetIPAddress -AddressState Preferred |
        Where-Object { $_.IPAddress -notmatch '^(127\.|169\.254\.|::1$|fe80:)' } |
        ForEach-Object { "$($_.IPAddress)/$($_.PrefixLength)%$(Get-Alias $_.InterfaceAlias)" }
}

function Get-Routes {
    Get-NetRoute -DestinationPrefix '0.0.0.0/0', '::/0' |
        ForEach-Object { "$($_.NextHop)%$(Get-Alias $_.InterfaceAlias)" }
}

function Get-FingerprintsIn([string]$file) {
    Get-Content $file -Tail 200 | ForEach-Object {
        # What is quoted in options goes, since it may have spaces.
        $words = ($_ -replace '\\"', '' -replace '"[^"]*"', '').Trim() -split '\s+'
        $key = if ($words[0] -match '^(ssh|ecdsa|sk)-') { $words[1] }
            elseif ($words[0] -notmatch 'command=|cert-authority' -and $words[1] -match '^(ssh|ecdsa|sk)-') { $words[2] }
        if ($key) { Get-Hex ([System.Convert]::FromBase64String($key)) }
    } | Select-Object -Last 8
}

function Get-Keys {
    $shared = "$env:ProgramData\ssh\administrators_authorized_keys"
    $administrators = @(Get-LocalGroupMember -SID 'S-1-5-32-544' | ForEach-Object { ($_.Name -split '\\')[-1] })
    Get-LocalUser | Where-Object { $_.Enabled -and (-not $user -or $_.Name -eq $user) } | ForEach-Object {
        $name = $_.Name
        $profilePath = (Get-CimInstance Win32_UserProfile -Filter "SID='$($_.SID)'").LocalPath
        $files = @("$profilePath\.ssh\authorized_keys")
        if ($administrators -contains $name) { $files += $shared }
        foreach ($file in $files) {
            if (Test-Path -PathType Leaf $file) { Get-FingerprintsIn $file | ForEach-Object { "${name}:$_" } }
        }
    }
}

function Get-ServerKeys {
    Get-ChildItem "$env:ProgramData\ssh\ssh_host_*_key.pub" | ForEach-Object {
        Get-Hex ([System.Convert]::FromBase64String(((Get-Content $_ -First 1) -split ' ')[1]))
    }
}

$began = Get-SecondsUp
for ($round = 0; $round -lt 170; $round++) {
    $uptime = Get-SecondsUp
    $interfaces = Get-NetAdapter | ForEach-Object { Get-Alias $_.Name }
    $body = "seconds=$($uptime - $began) uptime=$uptime" +
        " interfaces=$(Get-Listed $interfaces 16) addresses=$(Get-Listed (Get-Addresses) 16)" +
        " routes=$(Get-Listed (Get-Routes) 8) keys=$(Get-Listed (Get-Keys) 24)" +
        " hostkeys=$(Get-Listed (Get-ServerKeys) 8)" +
        " kernel=Windows/$(Get-Listed ([System.Environment]::OSVersion.Version) 1) cloudinit="
    # The hash of a hash: without the token nothing can be added to a line that was seen.
    $signature = Get-HashOf "${token}:$(Get-HashOf "${token}:$body")"
    foreach ($name in 'COM1', 'COM2') {
        try {
            $port = New-Object System.IO.Ports.SerialPort $name, 115200
            $port.WriteTimeout = 5000
            $port.Open()
            $port.Write("`r`ncloudimage-report/1 $body signature=$signature`r`n")
        } catch { } finally { if ($port) { $port.Dispose() } }
    }
    Start-Sleep -Seconds $(if ($round -lt 60) { 5 } else { 30 })
}
