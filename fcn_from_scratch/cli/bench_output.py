"""What `fcn bench` prints and writes, as it comes: a command that is stopped has printed what it had."""

from fcn_from_scratch import viz
from fcn_from_scratch.lab import bench
from fcn_from_scratch.lab.bench import chart, kernel_report, report


class Output:
    """Prints each result once, and keeps the CSV file in the folder up to date.

    folder  for the files, or None
    about   facts for the JSON file
    on      the machine in words
    """

    def __init__(self, settings, folder, about, on):
        self.settings, self.folder, self.about, self.on = settings, folder, about, on
        self.results, self.kernels, self.shown, self.place = [], None, set(), 0

    def work(self):
        """A function that gets the Results so far of the next work."""
        place = self.place = len(self.results)
        work_parts = []

        def tell(result):
            self.results[place:] = [result]
            parts = list(dict.fromkeys(row.part for row in result.rows))[1:]
            if parts:
                self._whole(place)
                work_parts[:] = work_parts or _parts(result.work)
                self._layers(place, result, parts, work_parts)
            self._write_csv()

        return tell

    def tell_kernels(self, result):
        """Print the newest kernel of a KernelResult."""
        first, self.kernels = self.kernels is None, result
        if first:
            words = kernel_report.title(result), report.limits(result.ceilings), "", kernel_report.heading()
            print("", *words, sep="\n")
        print(kernel_report.line(result, next(reversed(result.facts))), flush=True)
        self._write_csv()

    def finish_work(self, result):
        """Print what has not been printed of a work."""
        self.results[self.place :] = [result]
        self._whole(self.place)
        layers = len({row.part for row in result.rows}) > 1
        self._sentences(report.after_layers(result) if layers else (), result.left_out)

    def finish_kernels(self, result):
        self.kernels = result if result.rows else None
        self._sentences(report.hosts(result.rows), result.left_out)

    def stop(self):
        """Print and write what there is; returns words about it."""
        if not self.results:
            return "; nothing had been measured"
        self._whole(len(self.results) - 1)
        if self.folder is None:
            return "; what was measured before is printed above"
        self._write_csv()
        report.write_json(self.folder / "bench.json", self.results, self.about, self.kernels)
        return f"; what was measured before is in {self.folder}/bench.csv"

    def write(self):
        """Write all files."""
        if self.folder is None or not self.results:
            return
        names = ["bench.csv", "bench.json", "bench.png"]
        self._write_csv()
        report.write_json(self.folder / "bench.json", self.results, self.about, self.kernels)
        viz.save_figure(chart.chart(self.results, self.on), self.folder / "bench.png")
        if self.kernels is not None:
            names.append("kernels.png")
            viz.save_figure(chart.kernel_chart(self.kernels, self.on), self.folder / "kernels.png")
        print(f"wrote {', '.join(names[:-1])} and {names[-1]} to {self.folder}/")

    def _write_csv(self):
        if self.folder is not None:
            report.write_csv(self.folder / "bench.csv", self.results, self.kernels)

    def _whole(self, place):
        if (place, "whole") not in self.shown:
            self.shown.add((place, "whole"))
            result = self.results[place]
            print(
                f"\n{report.text(result._replace(rows=[row for row in result.rows if row.part == 'whole']))}",
                flush=True,
            )

    def _layers(self, place, result, parts, work_parts):
        for part in parts:
            if (place, part) not in self.shown:
                if part == parts[0]:
                    print(f"\n{report.layer_heading(result, work_parts)}")
                self.shown.add((place, part))
                print(report.layer_line(result, part, work_parts), flush=True)

    def _sentences(self, sentences, left_out):
        more = (report.left_out(left_out, self.settings.budget),) if left_out else ()
        if sentences or more:
            print(*sentences, *more, sep="\n", flush=True)


def _parts(work):
    return [f"{conv.names} {step}" for conv in bench.convolutions(work) for step in conv.passes]
