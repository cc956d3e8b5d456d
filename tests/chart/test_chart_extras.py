"""What the chart has on request: metrics, network policy, volumes, proxy, and its README."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudimage.access.policy import SPECIAL
from cloudimage.codegen import chart_readme
from cloudimage.runners.logic.job_manifest import JobTemplate
from testbed.paths import REPOSITORY

CHART = REPOSITORY / "helm" / "cloudimage-operator"
FOREIGN = "monitoring.coreos.com/v1"
"""A group that only clusters with the Prometheus Operator know."""

Objects = list[dict[str, Any]]
Render = Callable[..., Objects]


def only(objects: Objects, kind: str) -> dict[str, Any]:
    """Return the one object of a kind."""
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def pod(objects: Objects) -> dict[str, Any]:
    """Return the spec of the operator's pod."""
    spec: dict[str, Any] = only(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def environment(objects: Objects) -> dict[str, Any]:
    [container] = pod(objects)["containers"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_nothing_is_rendered_that_a_plain_cluster_does_not_know(render: Render) -> None:
    objects = render()
    assert FOREIGN not in {each["apiVersion"] for each in objects}
    kinds = {each["kind"] for each in objects}
    assert not kinds & {"NetworkPolicy", "PodDisruptionBudget", "ConfigMap", "Secret"}


def test_service_and_monitor_find_the_pod(render: Render) -> None:
    monitored = {"serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"team": "x"}}}
    objects = render(metrics=monitored)
    service, monitor = only(objects, "Service"), only(objects, "ServiceMonitor")
    template = only(objects, "Deployment")["spec"]["template"]
    selected = service["spec"]["selector"].items()
    assert selected <= template["metadata"]["labels"].items()
    assert (
        monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    )
    [port], [endpoint] = service["spec"]["ports"], monitor["spec"]["endpoints"]
    assert endpoint == {"port": port["name"], "interval": "15s"}
    assert port["targetPort"] in {
        each["name"] for each in template["spec"]["containers"][0]["ports"]
    }
    assert monitor["metadata"]["labels"]["team"] == "x"


def test_after_how_many_days_an_image_that_is_not_renewed_raises_an_alert(render: Render) -> None:
    objects = render(metrics={"prometheusRule": {"enabled": True, "renewedWithinDays": 30}})
    rules = only(objects, "PrometheusRule")["spec"]["groups"][0]["rules"]
    days = {
        each["alert"]: each["expr"].rpartition(" > ")[2]
        for each in rules
        if each["alert"] in {"CloudImageNotRenewed", "CloudImageNotFollowing"}
    }
    assert days == {
        "CloudImageNotRenewed": "30 * 86400",
        "CloudImageNotFollowing": "30 * 86400",
    }


def test_alerts_and_dashboard_are_those_that_are_tested(render: Render) -> None:
    rule = {"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}}
    board = {"dashboard": {"enabled": True, "annotations": {"folder": "Images"}}}
    objects = render(metrics={**rule, **board})
    rules, config = only(objects, "PrometheusRule"), only(objects, "ConfigMap")
    assert rules["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    assert rules["metadata"]["labels"]["release"] == "prometheus"
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"] == {"folder": "Images"}
    [(name, text)] = config["data"].items()
    assert name.endswith(".json")
    assert json.loads(text) == json.loads((CHART / "files" / "dashboard.json").read_text())


def test_a_network_policy_lets_in_requests_for_metrics_only(render: Render) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    objects = render(networkPolicy={"enabled": True, "metricsFrom": peers})
    policy = only(objects, "NetworkPolicy")["spec"]
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    [ingress] = policy["ingress"]
    assert ingress == {"ports": [{"port": "metrics", "protocol": "TCP"}], "from": peers}
    dns, rest = policy["egress"]
    assert dns == {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    blocks = [each["ipBlock"] for each in rest["to"]]
    assert [each["cidr"] for each in blocks] == ["0.0.0.0/0", "::/0"]
    refused = [network for each in blocks for network in each["except"]]
    assert {"169.254.0.0/16", "fe80::/10", "fd00:ec2::/32"} <= set(refused)
    # What the operator itself refuses of these, whatever its cloudPolicy allows as a whole.
    assert set(refused) <= set(SPECIAL)


def test_the_cloud_policy_reaches_the_operator(render: Render) -> None:
    plain = environment(render())
    assert plain["CLOUDIMAGE_CLOUD_ALLOW_NETWORKS"] == "0.0.0.0/0,::/0"
    assert plain["CLOUDIMAGE_CLOUD_HOSTS"] == plain["CLOUDIMAGE_CLOUD_DENY_NETWORKS"] == ""
    values = {
        "hosts": ["*.cloud.example.org", "192.0.2.1"],
        "allowNetworks": ["192.0.2.0/24"],
        "denyNetworks": ["10.0.0.0/8"],
    }
    set_there = environment(render(cloudPolicy=values))
    assert set_there["CLOUDIMAGE_CLOUD_HOSTS"] == "*.cloud.example.org,192.0.2.1"
    assert set_there["CLOUDIMAGE_CLOUD_ALLOW_NETWORKS"] == "192.0.2.0/24"
    assert set_there["CLOUDIMAGE_CLOUD_DENY_NETWORKS"] == "10.0.0.0/8"


def test_egress_is_what_is_named_and_what_it_cannot_do_without(render: Render) -> None:
    egress = [{"cidr": "192.0.2.0/24", "ports": [443, 9292]}, {"cidr": "2001:db8::/32"}]
    server = {"cidrs": ["10.0.0.1/32"], "ports": [6443]}
    values = {"enabled": True, "egress": egress, "apiServer": server}
    rules = only(render(networkPolicy=values), "NetworkPolicy")["spec"]["egress"]
    assert rules == [
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
        {
            "ports": [{"port": 6443, "protocol": "TCP"}],
            "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
        },
        {
            "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
            "ports": [{"port": 443, "protocol": "TCP"}, {"port": 9292, "protocol": "TCP"}],
        },
        {"to": [{"ipBlock": {"cidr": "2001:db8::/32"}}]},
    ]


def test_a_budget_holds_drains_up(render: Render) -> None:
    objects = render(podDisruptionBudget={"enabled": True})
    budget = only(objects, "PodDisruptionBudget")["spec"]
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert budget["maxUnavailable"] == 0
    assert budget["selector"]["matchLabels"].items() <= labels.items()


LEASES = "coordination.k8s.io"


def grants(objects: Objects, group: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the namespace of each rule about a group, and the rule."""
    return [
        (role["metadata"].get("namespace", ""), rule)
        for role in objects
        for rule in role.get("rules", ())
        if group in rule["apiGroups"]
    ]


def test_one_replica_has_no_lease(render: Render) -> None:
    objects = render()
    assert grants(objects, LEASES) == []
    assert "CLOUDIMAGE_LEASE" not in environment(objects)
    assert "topologySpreadConstraints" not in pod(objects)


@pytest.mark.parametrize(
    "values",
    [{"replicas": 2}, {"leaderElection": {"enabled": True}}],
    ids=["replicas", "asked-for"],
)
def test_a_lease_says_which_pod_acts(render: Render, values: dict[str, Any]) -> None:
    objects = render(**values)
    spec = only(objects, "Deployment")["spec"]
    assert spec["replicas"] == values.get("replicas", 1)
    assert spec["strategy"]["type"] == "RollingUpdate"
    namespace, name = environment(objects)["CLOUDIMAGE_LEASE"].split("/")
    assert environment(objects)["CLOUDIMAGE_LEASE_SECONDS"] == "15"
    [(where, named), (also, any_name)] = grants(objects, LEASES)
    assert where == also == namespace
    assert (named["verbs"], named["resourceNames"]) == (["get", "update"], [name])
    assert any_name["verbs"] == ["create", "list"]
    binding = only([each for each in objects if each["kind"] == "RoleBinding"], "RoleBinding")
    assert binding["metadata"]["namespace"] == namespace
    assert binding["subjects"] == only(objects, "ClusterRoleBinding")["subjects"]


def test_shards_are_deployments_of_their_own(render: Render) -> None:
    objects = render(shards=3, replicas=2)
    deployments = [each for each in objects if each["kind"] == "Deployment"]
    name = only(render(), "Deployment")["metadata"]["name"]
    assert [each["metadata"]["name"] for each in deployments] == [f"{name}-{i}" for i in range(3)]
    for index, each in enumerate(deployments):
        template = each["spec"]["template"]
        assert each["spec"]["replicas"] == 2
        selected = each["spec"]["selector"]["matchLabels"]
        assert selected["cloudimage.dev/shard"] == str(index)
        assert selected.items() <= template["metadata"]["labels"].items()
        [constraint] = template["spec"]["topologySpreadConstraints"]
        assert constraint["labelSelector"]["matchLabels"] == selected
        shard = {"CLOUDIMAGE_SHARD_INDEX": str(index), "CLOUDIMAGE_SHARD_COUNT": "3"}
        assert shard.items() <= environment([each]).items()
    [(_, named), _] = grants(objects, LEASES)
    # Those that were there before as well: what has run out is taken from its holder.
    assert {name, f"{name}-2-of-3", f"{name}-1-of-2"} <= set(named["resourceNames"])
    assert len(set(named["resourceNames"])) == 36
    alone = render(leaderElection={"enabled": True})
    assert "CLOUDIMAGE_SHARD_COUNT" not in environment(alone)
    assert "cloudimage.dev/shard" not in str(only(alone, "Deployment"))


def test_replicas_are_spread_and_evicted_one_at_a_time(render: Render) -> None:
    objects = render(replicas=2, podDisruptionBudget={"enabled": True})
    [constraint] = pod(objects)["topologySpreadConstraints"]
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    own = [{"maxSkew": 1, "topologyKey": "zone"}]
    objects = render(replicas=2, topologySpreadConstraints=own)
    assert pod(objects)["topologySpreadConstraints"] == own


def test_a_lost_node_is_left_soon(render: Render) -> None:
    tolerated = {each["key"]: each["tolerationSeconds"] for each in pod(render())["tolerations"]}
    taints = ("not-ready", "unreachable")
    assert tolerated == {f"node.kubernetes.io/{taint}": 30 for taint in taints}


def test_pod_settings_reach_the_pod(render: Render) -> None:
    settings: dict[str, Any] = {
        "priorityClassName": "high",
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone"}],
    }
    ref = {"secretKeyRef": {"name": "proxy", "key": "url"}}
    objects = render(
        **settings,
        extraEnv=[{"name": "HTTPS_PROXY", "valueFrom": ref}],
        extraVolumes=[{"name": "more", "emptyDir": {}}],
        extraVolumeMounts=[{"name": "more", "mountPath": "/more"}],
    )
    spec = pod(objects)
    assert {key: spec[key] for key in settings} == settings
    assert environment(objects)["HTTPS_PROXY"] == ref
    assert {"name": "more", "emptyDir": {}} in spec["volumes"]
    assert {"name": "more", "mountPath": "/more"} in spec["containers"][0]["volumeMounts"]


def test_scratch_can_be_a_volume_of_a_storage_class(render: Render) -> None:
    claim = {"enabled": True, "storageClassName": "fast"}
    [scratch] = pod(render(scratch={"sizeLimit": "9Gi", "persistentVolumeClaim": claim}))["volumes"]
    spec = scratch["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert spec == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "9Gi"}},
    }


def test_a_ca_bundle_is_mounted_and_named(render: Render) -> None:
    objects = render(caBundle={"configMap": "company", "key": "bundle.pem"})
    [mount] = [
        each
        for each in pod(objects)["containers"][0]["volumeMounts"]
        if each["name"] == "ca-bundle"
    ]
    [volume] = [each for each in pod(objects)["volumes"] if each["name"] == "ca-bundle"]
    [item] = volume["configMap"]["items"]
    assert (volume["configMap"]["name"], item["key"]) == ("company", "bundle.pem")
    assert environment(objects)["REQUESTS_CA_BUNDLE"] == f"{mount['mountPath']}/{item['path']}"


UNREACHABLE = {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}}
PROXY = {"https": "http://proxy:3128", "noProxy": "glance.example.org,10.0.0.0/8"}


def test_a_proxy_is_for_the_operator_and_not_for_the_api_server(render: Render) -> None:
    env = environment(render(proxy=PROXY))
    assert env["HTTPS_PROXY"] == "http://proxy:3128"
    assert "HTTP_PROXY" not in env
    direct = env["NO_PROXY"].split(",")
    assert direct[:2] == PROXY["noProxy"].split(",")
    assert {"$(KUBERNETES_SERVICE_HOST)", ".svc"} <= set(direct)
    assert not {name for name in environment(render()) if "PROXY" in name}


def test_a_proxy_is_for_jobs_too(render: Render) -> None:
    env = environment(render(proxy=PROXY, transfer={"runner": "job"}))
    template = JobTemplate(image="x", environment=json.loads(env["CLOUDIMAGE_JOB_ENV"]))
    assert template.environment == {
        "HTTPS_PROXY": "http://proxy:3128",
        "NO_PROXY": PROXY["noProxy"],
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"proxy": {"http": "http://me:secret@proxy"}}, "at '/proxy/http'"),
        (
            {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
            "needs",
        ),
        ({"networkPolicy": {"egress": [{"ports": [1]}]}}, "missing property 'cidr'"),
        ({"cloudPolicy": {"allowNetworks": []}}, "at '/cloudPolicy/allowNetworks'"),
        ({"cloudPolicy": {"hosts": ["http://x/"]}}, "at '/cloudPolicy/hosts/0'"),
        ({"extraEnv": [{"value": "x"}]}, "missing property 'name'"),
        ({"podDisruptionBudget": {"maxUnavailable": 2}}, "maximum: got 2, want 1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_values_are_refused(
    helm: Any, values_file: Callable[..., str], values: dict[str, Any], message: str
) -> None:
    done = helm("template", "x", str(CHART), "--values", values_file(values))
    assert done.returncode != 0
    assert message in done.stderr


def paths(schema: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield the path of each value that a schema knows, but for what is within lists."""
    for name, below in schema.get("properties", {}).items():
        yield f"{above}{name}"
        yield from paths(below, f"{above}{name}.")


def test_the_readme_has_every_value_of_the_schema_with_a_description() -> None:
    rows = chart_readme.values(CHART)
    schema = json.loads((CHART / "values.schema.json").read_text())
    groups = {".".join(each.path.split(".")[:end]) for each in rows for end in range(1, 4)}
    # Jobs and the operator have the same kind of resources; nobody claims devices for either.
    elsewhere = {"global", "resources.claims"}
    assert set(paths(schema)) - elsewhere <= groups
    assert all(each.comment for each in rows)


def test_the_readme_is_generated_and_refuses_what_is_not_described(tmp_path: Path) -> None:
    assert (CHART / "README.md").read_text() == chart_readme.render(CHART)
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    text = (chart / "values.yaml").read_text()
    (chart / "values.yaml").write_text(text + "undescribed: 1\n")
    with pytest.raises(ValueError, match=r"undescribed .* is not in values"):
        chart_readme.render(chart)
    schema = json.loads((chart / "values.schema.json").read_text())
    schema["properties"]["undescribed"] = {"type": "integer"}
    (chart / "values.schema.json").write_text(json.dumps(schema))
    with pytest.raises(ValueError, match=r"undescribed .* is described nowhere"):
        chart_readme.render(chart)


def test_no_value_is_a_secret() -> None:
    words = re.compile(r"password|token|secret(?!s$)|credential", re.IGNORECASE)
    names = [each.path for each in chart_readme.values(CHART)]
    assert [name for name in names if words.search(name)] == []
