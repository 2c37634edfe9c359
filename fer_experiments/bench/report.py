"""The benchmark's tables, as rows of cells of which the first row is the head."""

Medians = dict[str, dict[str, float]]
"""{"part: name": {quantity: median}}"""
EPOCHS = {"dcgan": (1, 6), "classifier": (1, 6)}
"""{model: epochs of the short and of the long process}"""
MIB = 2**20


def format_report(medians: Medians, machine: dict[str, str], repeats: int) -> str:
    """Return all tables for which there are medians, as Markdown."""
    properties = ", ".join(f"{key} {value}" for key, value in machine.items())
    sections = [f"# Benchmark\n\nMedians of {repeats} interleaved fresh processes. {properties}."]
    for title, rows in (
        ("Whole processes and epochs", tabulate_processes(medians)),
        ("One step", tabulate_steps(medians)),
        ("Overhead of a step", tabulate_overheads(medians)),
        ("Start", tabulate_starts(medians)),
        ("Data", tabulate_data(medians)),
        ("Cost against image size and batch", tabulate_scaling(medians)),
        ("Ceiling", tabulate_ceilings(medians)),
    ):
        if len(rows) > 1:
            sections.append(f"## {title}\n\n{format_markdown(rows)}")
    return "\n\n".join(sections) + "\n"


def format_markdown(rows: list[list[str]]) -> str:
    """Return a table; all columns but the first are aligned to the right."""
    head, *body = rows
    rule = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))


def select_part(medians: Medians, part: str) -> Medians:
    """Return {name: {quantity: median}} of one part."""
    return {name.removeprefix(f"{part}: "): row for name, row in medians.items() if name.startswith(f"{part}: ")}


def tabulate_processes(medians: Medians) -> list[list[str]]:
    """Return a row for each training. An epoch's time is the difference of the long and the short process.

    The peak is that of the largest process. Ratios say how many times as long the tutorial takes.
    """
    processes = select_part(medians, "process")
    rows = [["training", "epochs", "process", "ratio", "epoch", "ratio", "peak memory"]]
    for model, (few, more) in EPOCHS.items():
        reference: tuple[float, float] | None = None
        for implementation in ("tutorial", "fp32", "bf16"):
            long, short = (processes.get(f"{model} {implementation} {epochs}") for epochs in (more, few))
            if long is None or short is None:
                continue
            seconds = long["process_seconds"]
            epoch = (seconds - short["process_seconds"]) / (more - few)
            reference = reference or (seconds, epoch)
            times = [f"{seconds:.1f} s", f"{reference[0] / seconds:.2f}"]
            times += [f"{epoch:.2f} s", f"{reference[1] / epoch:.2f}"]
            rows.append([f"{model}, {implementation}", str(more), *times, f"{long['peak_rss_bytes'] / MIB:.0f} MiB"])
    return rows


def tabulate_steps(medians: Medians) -> list[list[str]]:
    """Return a row for each step: seconds of one model beside the tutorial's, and the share of the best rate."""
    ceilings = {name: row["convolution_flop_per_second"] for name, row in select_part(medians, "ceiling").items()}
    steps = select_part(medians, "step")
    rows = [["step", "time", "ratio", "rate", "of the convolution ceiling"]]
    for name, row in steps.items():
        model, implementation, batch = name.split()
        seconds = row["seconds"]
        reference = steps[f"{model} tutorial {batch}"]["seconds"]
        best = ceilings.get("fp32" if implementation == "tutorial" else implementation)
        share = f"{row['flop_per_second'] / best:.0%}" if best else ""
        rows.append(
            [
                f"{model}, {implementation}, batch {batch}",
                f"{seconds * 1e3:.2f} ms",
                f"{reference / seconds:.2f}",
                _format_rate(row),
                share,
            ]
        )
    return rows


def _format_rate(row: dict[str, float]) -> str:
    return f"{row['flop_per_second'] / 1e9:.0f} GFLOP/s"


def tabulate_overheads(medians: Medians) -> list[list[str]]:
    """Return what Lightning, its callbacks and our modules add to a loop over the same step."""
    steps = select_part(medians, "overhead")
    rows = [["step", "in a loop", "as jobs train", "overhead"]]
    for name, row in steps.items():
        model, implementation = name.split()
        if implementation == "lightning":
            loop, job = steps[f"{model} plain"]["seconds"], row["seconds"]
            rows.append([model, *(f"{seconds * 1e6:.0f} us" for seconds in (loop, job, job - loop))])
    return rows


def tabulate_starts(medians: Medians) -> list[list[str]]:
    starts = select_part(medians, "start")
    return [["command", "process"], *([name, f"{row['process_seconds']:.2f} s"] for name, row in starts.items())]


def tabulate_data(medians: Medians) -> list[list[str]]:
    rows = [["images to batches on the device", "images/s"]]
    for name, row in select_part(medians, "data").items():
        rows.append([name, f"{row['images_per_second']:,.0f}"])
    return rows


def tabulate_scaling(medians: Medians) -> list[list[str]]:
    rows = [["our step", "time", "rate", "peak memory"]]
    for name, row in select_part(medians, "scaling").items():
        peak = row.get("peak_bytes", row["peak_rss_bytes"])
        rows.append([name, f"{row['seconds'] * 1e3:.1f} ms", _format_rate(row), f"{peak / MIB:.0f} MiB"])
    return rows


def tabulate_ceilings(medians: Medians) -> list[list[str]]:
    rows = [["measured rate, forward and backward", "convolution", "matrix product"]]
    for precision, row in select_part(medians, "ceiling").items():
        rates = (row["convolution_flop_per_second"], row["matmul_flop_per_second"])
        rows.append([precision, *(f"{value / 1e9:.0f} GFLOP/s" for value in rates)])
    return rows
