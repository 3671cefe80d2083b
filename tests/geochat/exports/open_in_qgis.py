"""Opens layers in QGIS and prints what it sees as JSON; run by a Python that has QGIS' own bindings.

    QT_QPA_PLATFORM=offscreen python3 open_in_qgis.py PICTURE.png SOURCE...

A source is a file, or FILE|layername=NAME. All are drawn into the picture, the first on top.
"""

import json
import os
import sys

from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def main(picture, sources):
    application = QgsApplication([], False)
    application.initQgis()
    layers, seen = [], []
    for source in sources:
        raster = source.endswith((".tif", ".png"))
        layer = QgsRasterLayer(source, "raster") if raster else QgsVectorLayer(source, "layer", "ogr")
        layers.append(layer)
        told = {"source": source, "valid": layer.isValid(), "crs": layer.crs().authid()}
        if not raster and layer.isValid():
            renderer = layer.renderer()
            categories = renderer.categories() if renderer.type() == "categorizedSymbol" else []
            told |= {
                "features": layer.featureCount(),
                "geometry": QgsWkbTypes.displayString(layer.wkbType()),
                "fields": [field.name() for field in layer.fields()],
                "renderer": renderer.type(),
                "colours": {each.value(): each.symbol().symbolLayer(0).strokeColor().name() for each in categories},
                "centers": [
                    [feature.geometry().centroid().asPoint().x(), feature.geometry().centroid().asPoint().y()]
                    for feature in layer.getFeatures()
                ],
            }
        seen.append(told)
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[0].crs())
    settings.setBackgroundColor(QColor("#202020"))
    settings.setOutputSize(QSize(800, 400))
    extent = layers[-1].extent()
    settings.setExtent(extent)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
    sys.stdout.write(json.dumps(seen))
    sys.stdout.flush()
    os._exit(0)  # QGIS may crash while it is taken down


main(sys.argv[1], sys.argv[2:])
