"""Images: read, checked, listed, shown."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.data_preparation import nodes

SSL_SETTINGS = [
    "params:model",
    "params:training",
    "params:pseudo_labels",
    "params:linear_evaluation",
    "params:detection_transfer",
    "params:ssl_training",
]
SL_SETTINGS = ["params:model", "params:training", "params:supervised", "params:sl_training"]


def create_pipeline(*, supervised: bool = False) -> Pipeline:
    """The stage data_preparation; `supervised`: the supervised stages' settings are held against it."""
    check = nodes.check_settings_sl if supervised else nodes.check_settings
    settings = SL_SETTINGS if supervised else SSL_SETTINGS
    return Pipeline(
        [
            Node(
                nodes.prepare_images,
                ["params:data_preparation", "params:seed"],
                ["manifest", "unchecked_card", "class_counts_table"],
                name="prepare_images",
            ),
            Node(check, ["unchecked_card", *settings], "dataset_card", name="check_settings"),
            Node(
                nodes.describe_images,
                ["dataset_card", "manifest", "class_counts_table"],
                ["metrics", "contact_sheet_picture", "class_counts_chart"],
                name="describe_images",
            ),
        ],
        namespace="data_preparation",
        parameters={"params:data_preparation", "params:seed", *settings},
    )
