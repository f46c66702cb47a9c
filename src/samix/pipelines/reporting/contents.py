"""What the reports hold: metrics and pictures of the other stages, in the order of the page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Contents:
    """metrics: dataset names; pictures: dataset name -> caption."""

    metrics: list[str]
    pictures: dict[str, str]


SSL = Contents(
    [
        "data_preparation.metrics",
        "pseudo_labels.metrics",
        "mixer_pretraining.metrics",
        "ssl_training.metrics",
        "linear_evaluation.metrics",
        "detection_transfer.metrics",
    ],
    {
        "mixer_pretraining.masks_picture": "What the Mixer has learnt: masks and mixed images over lam",
        "mixer_pretraining.attention_picture": "Inside the Mixer: content and attention",
        "linear_evaluation.confusion_picture": "Linear classifier: confusion matrix",
        "detection_transfer.predictions_picture": "Detector: predictions over ground truth",
        "data_preparation.contact_sheet_picture": "The images",
        "pseudo_labels.members_picture": "Members of some clusters",
        "pseudo_labels.curves_picture": "Online clustering",
        "mixer_pretraining.curves_picture": "Mixer pre-training",
        "ssl_training.curves_picture": "Self-supervised training",
        "linear_evaluation.curves_picture": "Linear evaluation, trained and untrained backbone",
        "detection_transfer.curves_picture": "Detectors, transferred and from scratch",
    },
)

SL = Contents(
    ["data_preparation.metrics", "mixer_pretraining_sl.metrics", "sl_training.metrics"],
    {
        "mixer_pretraining_sl.masks_picture": "What the Mixer has learnt: masks and mixed images over lam",
        "mixer_pretraining_sl.attention_picture": "Inside the Mixer: content and attention",
        "sl_training.curves_picture": "Supervised training",
        "mixer_pretraining_sl.curves_picture": "Mixer pre-training",
        "data_preparation.contact_sheet_picture": "The images",
    },
)
