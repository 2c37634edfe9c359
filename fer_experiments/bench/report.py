"""The benchmark's tables. `Measured` is {"part: name": {what: median}}."""

Measured = dict[str, dict[str, float]]
EPOCHS = {"dcgan": (1, 6), "classifier": (1, 6)}
MIB = 2**20


def full_report(measured: Measured, machine: dict[str, str], repeats: int) -> str:
    """All tables that `measured` has, as Markdown."""
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    sections = [f"# Benchmark\n\nMedians of {repeats} interleaved fresh processes. {facts}."]
    for title, rows in (
        ("Whole processes and epochs", processes(measured)),
        ("One step", steps(measured)),
        ("Overhead of a step", overheads(measured)),
        ("Start", starts(measured)),
        ("Data", data(measured)),
        ("Cost against image size and batch", scaling(measured)),
        ("Ceiling", ceilings(measured)),
    ):
        if len(rows) > 1:
            sections.append(f"## {title}\n\n{markdown(rows)}")
    return "\n\n".join(sections) + "\n"


def markdown(rows: list[list[str]]) -> str:
    """The first row is the head; all columns but the first to the right."""
    head, *body = rows
    rule = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))


def of_part(measured: Measured, part: str) -> Measured:
    return {name.removeprefix(f"{part}: "): row for name, row in measured.items() if name.startswith(f"{part}: ")}


def processes(measured: Measured) -> list[list[str]]:
    """An epoch is the difference of the long and the short process; the peak is that of the largest process."""
    found = of_part(measured, "process")
    rows = [["training", "epochs", "process", "ratio", "epoch", "ratio", "peak memory"]]
    for model, (few, more) in EPOCHS.items():
        reference: tuple[float, float] | None = None
        for whose in ("tutorial", "fp32", "bf16"):
            long, short = found.get(f"{model} {whose} {more}"), found.get(f"{model} {whose} {few}")
            if long is None or short is None:
                continue
            whole = long["process_seconds"]
            epoch = (whole - short["process_seconds"]) / (more - few)
            reference = reference or (whole, epoch)
            cells = [f"{whole:.1f} s", f"{reference[0] / whole:.2f}", f"{epoch:.2f} s", f"{reference[1] / epoch:.2f}"]
            rows.append([f"{model}, {whose}", str(more), *cells, f"{long['peak_rss_bytes'] / MIB:.0f} MiB"])
    return rows


def steps(measured: Measured) -> list[list[str]]:
    """Seconds for one step of one model, beside the tutorial's of the same batch, and the share of the ceiling."""
    top = {precision: row["convolution_flop_per_second"] for precision, row in of_part(measured, "ceiling").items()}
    found = of_part(measured, "step")
    rows = [["step", "time of a model", "ratio", "rate", "of the convolution ceiling"]]
    for name, row in found.items():
        model, whose, batch, *rest = name.split()
        models = int(rest[-1].removeprefix("x")) if rest else 1
        seconds = row["seconds"] / models
        reference = found[f"{model} tutorial {batch}"]["seconds"]
        best = top.get("fp32" if whose == "tutorial" else whose)
        share = f"{row['flop_per_second'] / best:.0%}" if best else ""
        rate = f"{row['flop_per_second'] / 1e9:.0f} GFLOP/s"
        label = f"{model}, {whose}, batch {batch} {' '.join(rest)}".strip()
        rows.append([label, f"{seconds * 1e3:.2f} ms", f"{reference / seconds:.2f}", rate, share])
    return rows


def overheads(measured: Measured) -> list[list[str]]:
    """What Lightning, its callbacks and our modules add to a loop over the same step, which on a GPU is captured."""
    found = of_part(measured, "overhead")
    rows = [["step", "in a loop", "as jobs train", "overhead"]]
    for name, row in found.items():
        model, whose = name.split()
        if whose == "lightning":
            bare, ours = (found.get(f"{model} bare") or found[f"{model} captured"])["seconds"], row["seconds"]
            cells = [f"{seconds * 1e6:.0f} us" for seconds in (bare, ours, ours - bare)]
            rows.append([model, *cells])
    return rows


def starts(measured: Measured) -> list[list[str]]:
    found = of_part(measured, "start")
    return [["command", "process"], *([name, f"{row['process_seconds']:.2f} s"] for name, row in found.items())]


def data(measured: Measured) -> list[list[str]]:
    rows = [["images to batches on the device", "images/s"]]
    for name, row in of_part(measured, "data").items():
        rows.append([name, f"{row['images_per_second']:,.0f}"])
    return rows


def scaling(measured: Measured) -> list[list[str]]:
    rows = [["our step", "time", "rate", "peak memory"]]
    for name, row in of_part(measured, "scaling").items():
        peak = row.get("peak_bytes", row["peak_rss_bytes"])
        rate = f"{row['flop_per_second'] / 1e9:.0f} GFLOP/s"
        rows.append([name, f"{row['seconds'] * 1e3:.1f} ms", rate, f"{peak / MIB:.0f} MiB"])
    return rows


def ceilings(measured: Measured) -> list[list[str]]:
    rows = [["measured rate, forward and backward", "convolution", "matrix product"]]
    for precision, row in of_part(measured, "ceiling").items():
        rates = (row["convolution_flop_per_second"], row["matmul_flop_per_second"])
        rows.append([precision, *(f"{value / 1e9:.0f} GFLOP/s" for value in rates)])
    return rows
