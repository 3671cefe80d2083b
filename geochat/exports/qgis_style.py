"""QGIS styles inside a GeoPackage: its table `layer_styles`, from which QGIS styles a layer when it is opened.

The table is QGIS' own (QgsOgrProvider::saveStyle) and the style is its QML. Objects are outlined in one colour per
phrase, the colours of the overlay images; windows that were not looked at are hatched in grey.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import quoteattr

from geochat.exports.overlay import PALETTE

_TABLE = """CREATE TABLE IF NOT EXISTS layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
    styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30),
    ui TEXT(30), update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))"""
_GREY = "#808080"


def layer_style(phrases: Sequence[str]) -> str:
    """Return QML that outlines each object in the colour of its phrase; further phrases share the last one, white."""
    colours = {phrase: PALETTE[number % (len(PALETTE) - 1)] for number, phrase in enumerate(phrases)}
    categories = [
        f'<category symbol={quoteattr(str(number))} value={quoteattr(phrase)} label={quoteattr(phrase)} render="true"/>'
        for number, phrase in enumerate(colours)
    ]
    categories.append(f'<category symbol="{len(colours)}" value="" label="other" render="true"/>')
    symbols = [_symbol(number, colour) for number, colour in enumerate((*colours.values(), PALETTE[-1]))]
    renderer = (
        '<renderer-v2 type="categorizedSymbol" attr="phrase" symbollevels="0" enableorderby="0" forceraster="0">'
        f"<categories>{''.join(categories)}</categories><symbols>{''.join(symbols)}</symbols></renderer-v2>"
    )
    return _document(renderer, '<previewExpression>"phrase"</previewExpression>')


def window_style() -> str:
    """Return QML that hatches windows in grey."""
    symbol = _symbol(0, _GREY, pattern="b_diagonal", opacity=255)
    renderer = f'<renderer-v2 type="singleSymbol" symbollevels="0"><symbols>{symbol}</symbols></renderer-v2>'
    return _document(renderer, '<previewExpression>"reason"</previewExpression>')


def add_styles(path: Path, styles: Mapping[str, str]) -> None:
    """Store styles in a GeoPackage, each as its layer's default.

    Args:
        path: The GeoPackage.
        styles: QML by layer.
    """
    if not styles:
        return
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_TABLE)
        database.execute(
            "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier) VALUES (?, ?, ?)",
            ("layer_styles", "attributes", "layer_styles"),
        )
        database.executemany(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
            "styleQML, styleSLD, useAsDefault, description, owner) "
            "SELECT '', '', table_name, column_name, 'geochat', ?, '', 1, 'Made by GeoChat', '' "
            "FROM gpkg_geometry_columns WHERE table_name = ?",
            [(style, name) for name, style in styles.items()],
        )


def _document(*parts: str) -> str:
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        f'<qgis version="3.22.0" styleCategories="Symbology|MapTips">{"".join(parts)}</qgis>\n'
    )


def _symbol(number: int, colour: str, *, pattern: str = "solid", opacity: int = 40) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    options = {
        "color": f"{red},{green},{blue},{opacity}",
        "style": pattern,
        "outline_color": f"{red},{green},{blue},255",
        "outline_style": "solid",
        "outline_width": "0.6",
        "outline_width_unit": "MM",
        "joinstyle": "miter",
    }
    return (
        f'<symbol type="fill" name="{number}" alpha="1" clip_to_extent="1" force_rhr="0">'
        f'<layer class="SimpleFill" enabled="1" locked="0" pass="0"><Option type="Map">{_options(options.items())}'
        "</Option></layer></symbol>"
    )


def _options(items: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<Option name="{name}" type="QString" value="{value}"/>' for name, value in items)
