"""spec.customize: what it refers to, and what it asks of a transfer."""

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.api.customize import Customize, Step, WriteFileStep
from cloudimage.sources.base import Reference
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import TEXT
from cloudimage.transfer.customize import model


def references_of(spec: CloudImageSpec) -> tuple[Reference, ...]:
    """Return the Secrets and ConfigMaps that a transfer needs: of the source, and of the steps.

    Raises:
        ValueError: The source is of a kind that is not known.
    """
    steps = (spec.customize.steps or ()) if spec.customize else ()
    named = (_reference(number, step) for number, step in enumerate(steps))
    return (*source_of(spec).references(), *(each for each in named if each is not None))


def requested(spec: Customize | None) -> model.Customize | None:
    """Return it as a transfer takes it, without what its references lead to."""
    if spec is None:
        return None
    steps = spec.steps or ()
    return model.Customize(
        steps=tuple(_step(number, step) for number, step in enumerate(steps)),
        network=spec.network is True,
        sparsify=spec.sparsify is True,
        compress=spec.compress is True,
    )


def _name(number: int) -> str:
    """Return what the texts of a step are found by; also the name of a Job's volume."""
    return f"customize-{number}"


def _reference(number: int, step: Step) -> Reference | None:
    keyed = step.run or step.write_file
    if keyed and keyed.secret_key_ref:
        ref = keyed.secret_key_ref
        return Reference(_name(number), "Secret", ref.name, ref.key)
    if keyed and keyed.config_map_key_ref:
        ref = keyed.config_map_key_ref
        return Reference(_name(number), "ConfigMap", ref.name, ref.key)
    if step.copy_in and step.copy_in.secret_ref:
        return Reference(_name(number), "Secret", step.copy_in.secret_ref.name)
    if step.copy_in and step.copy_in.config_map_ref:
        return Reference(_name(number), "ConfigMap", step.copy_in.config_map_ref.name)
    return None


def _step(number: int, step: Step) -> model.Step:
    made = _with_files(number, step) or _of_services(step) or _of_packages(step) or _of_system(step)
    if made is None:
        raise ValueError(
            f"step {number + 1} of spec.customize is of no kind that this operator supports; "
            "upgrade the operator"
        )
    return made


def _with_files(number: int, step: Step) -> model.Step | None:
    reference = _reference(number, step)
    secret = reference is not None and reference.kind == "Secret"
    name = reference.name if reference else None
    if step.run:
        return model.Run(reference=name, files=_inline(step.run.script), secret=secret)
    if step.write_file:
        return _write_file(step.write_file, name, secret=secret)
    if step.copy_in:
        mode, directory = "0600" if secret else "0644", step.copy_in.directory
        return model.CopyIn(reference=name, secret=secret, directory=directory, mode=mode)
    return None


def _of_packages(step: Step) -> model.Step | None:
    if step.install_packages:
        return model.InstallPackages(packages=step.install_packages)
    return model.Update() if step.update else None


def _of_services(step: Step) -> model.Step | None:
    if step.enable_services:
        return model.EnableServices(units=step.enable_services)
    if step.disable_services:
        return model.DisableServices(units=step.disable_services)
    return None


def _of_system(step: Step) -> model.Step | None:
    if step.append_line:
        return model.AppendLine(path=step.append_line.path, line=step.append_line.line)
    if step.timezone:
        return model.Timezone(name=step.timezone)
    if step.hostname_reset:
        return model.HostnameReset()
    if step.grow_root:
        return model.GrowRoot(gib=step.grow_root.to_gib)
    if step.sysprep:
        return model.Sysprep(operations=step.sysprep.operations)
    return model.SelinuxRelabel() if step.selinux_relabel else None


def _inline(text: str | None) -> dict[str, str]:
    return {} if text is None else {TEXT: text}


def _write_file(step: WriteFileStep, name: str | None, *, secret: bool) -> model.WriteFile:
    return model.WriteFile(
        reference=name,
        files=_inline(step.content),
        secret=secret,
        path=step.path,
        mode=step.mode or ("0600" if secret else "0644"),
        owner=step.owner,
    )
