"""Counts of objects in grid cells: one polygon per cell."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from geochat.exports import Feature, Layer, write_layer
from geochat.find.finding import Finding
from geochat.find.survey import column_name
from geochat.imagery import Window

Cell = tuple[int, int]
"""Column and row."""


class CellCounts:
    """Counts of objects by the cell that contains their centre.

    A cell is as large as the first windows of the search; the last of a row or column is clipped at the scene's border.
    A cell whose centre lies in no searched window has no counts, instead of counts of 0.

    Args:
        finding: The search, of which is taken what it has recorded.

    Attributes:
        totals: By phrase, of the whole scene.
        columns: By phrase, the name of its column.
    """

    def __init__(self, finding: Finding) -> None:
        self._finding = finding
        self._side = finding.look.plan.grids[0].side
        self._counts: dict[str, Counter[Cell]] = {phrase: Counter() for phrase in finding.phrases}
        for each in finding.objects():
            self._counts[each.phrase][self._cell(*each.box.center)] += 1
        self.totals = {phrase: counts.total() for phrase, counts in self._counts.items()}
        self.columns: dict[str, str] = {}
        for phrase in finding.phrases:
            name = column_name(phrase)
            while name in self.columns.values():
                name += "_"
            self.columns[phrase] = name

    def features(self) -> Iterator[Feature]:
        """The cells, row by row, as rows of a layer with one column per phrase."""
        looked_at = self._looked_at()
        columns, rows = self._shape
        for row in range(rows):
            for column in range(columns):
                cell = column, row
                known = cell in looked_at
                counts = {self.columns[phrase]: each[cell] if known else None for phrase, each in self._counts.items()}
                yield self._finding.look.feature(self._window(cell), counts)

    def save(self, path: str | Path, format: str | None = None) -> Path:
        """Write the cells as a layer.

        Args:
            path: Its suffix chooses the format; see `geochat.exports.write_layer`.
            format: A name of `geochat.exports.EXPORTERS`, in place of the suffix.

        Raises:
            ExportError: It cannot be written.
        """
        look = self._finding.look
        columns = dict.fromkeys(self.columns.values(), int)
        layer = Layer(look.place, columns, self._finding.provenance, look.name, "counts", view=look.overview)
        not_looked_at = self._finding.not_looked_at()
        return write_layer(path, layer, self.features(), format=format, not_looked_at=not_looked_at)

    @property
    def _shape(self) -> tuple[int, int]:
        """The numbers of columns and rows of cells."""
        (width, height), (across, down) = self._finding.look.scene.size, self._side
        return -(-width // across), -(-height // down)

    def _cell(self, x: float, y: float) -> Cell:
        columns, rows = self._shape
        return min(max(int(x // self._side[0]), 0), columns - 1), min(max(int(y // self._side[1]), 0), rows - 1)

    def _window(self, cell: Cell) -> Window:
        left, top = cell[0] * self._side[0], cell[1] * self._side[1]
        width, height = self._finding.look.scene.size
        return Window(left, top, min(self._side[0], width - left), min(self._side[1], height - top))

    def _looked_at(self) -> set[Cell]:
        """Return the cells whose centre lies in a searched window."""
        cells: set[Cell] = set()
        for window in self._finding.looked_at():
            first, last = self._cell(*window.bounds[:2]), self._cell(window.bounds[2] - 1, window.bounds[3] - 1)
            for column in range(first[0], last[0] + 1):
                for row in range(first[1], last[1] + 1):
                    left, top, right, bottom = self._window((column, row)).bounds
                    x, y = (left + right) / 2, (top + bottom) / 2
                    if window.column <= x < window.bounds[2] and window.row <= y < window.bounds[3]:
                        cells.add((column, row))
        return cells
