import numpy as np
import pandas as pd
import torch

from samix.analysis.images import class_counts_figure, contact_sheet
from samix.data import MemoryStore


def _sheet(classes, images):
    """A store whose images of class c are of the single grey level c, and its contact sheet."""
    labels = torch.arange(classes).repeat_interleave(images)
    pixels = labels.to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)
    card = {
        "name": "greys",
        "classes": [f"class_{label}" for label in range(classes)],
        "counts": {"train": len(labels), "test": 7},
        "image_size": 8,
    }
    return contact_sheet(MemoryStore(pixels, labels), card)


def _names(figure):
    return [axes.texts[0].get_text() for axes in figure.axes]


def test_each_strip_shows_images_of_the_class_it_names():
    figure = _sheet(4, 10)
    assert _names(figure) == [f"class {label}" for label in range(4)]
    for label, axes in enumerate(figure.axes):
        assert len(axes.images) == 8
        assert all((image.get_array() == label).all() for image in axes.images)
    assert figure.texts[0].get_text() == "greys: 4 classes; 40 training and 7 test images, 8 x 8 pixels"


def test_many_classes_are_spread_over_all_of_them():
    figure = _sheet(96, 2)
    assert _names(figure) == [f"class {label}" for label in range(0, 96, 5)]
    assert "20 of 96 classes" in figure.texts[0].get_text()


def test_strips_and_title_stay_on_the_sheet():
    for classes, images in ((2, 1), (20, 8)):
        figure = _sheet(classes, images)
        figure.canvas.draw()
        boxes = [text.get_window_extent() for text in [*figure.texts, *(a.texts[0] for a in figure.axes)]]
        boxes += [axes.get_window_extent() for axes in figure.axes]
        corners = np.array([[box.x0, box.y0, box.x1, box.y1] for box in boxes])
        assert corners[:, :2].min() >= 0
        assert corners[:, 2].max() <= figure.bbox.width and corners[:, 3].max() <= figure.bbox.height


def test_bars_are_the_counts_in_label_order():
    counts = pd.DataFrame({"label": [0, 1], "class_name": ["9", "1"], "train": [1500, 20], "test": [3, 4]})
    figure = class_counts_figure(counts)
    assert [list(bar.x) for bar in figure.data] == [["9", "1"]] * 2
    assert [list(bar.y) for bar in figure.data] == [[1500, 20], [3, 4]]
    assert [bar.name for bar in figure.data] == ["train (1,520)", "test (7)"]
    assert figure.layout.xaxis.type == "category"
