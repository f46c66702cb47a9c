"""Images: read, checked, listed, shown."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.data_preparation import nodes


def create_pipeline() -> Pipeline:
    """The stage data_preparation."""
    return Pipeline(
        [
            Node(
                nodes.prepare_images,
                ["params:data_preparation", "params:seed"],
                ["manifest", "unchecked_card", "class_counts_table"],
                name="prepare_images",
            ),
            Node(
                nodes.check_settings,
                [
                    "unchecked_card",
                    "params:model",
                    "params:training",
                    "params:pseudo_labels",
                    "params:linear_evaluation",
                    "params:detection_transfer",
                ],
                "dataset_card",
                name="check_settings",
            ),
            Node(
                nodes.describe_images,
                ["dataset_card", "manifest", "class_counts_table"],
                ["metrics", "contact_sheet_picture", "class_counts_chart"],
                name="describe_images",
            ),
        ],
        namespace="data_preparation",
        parameters={
            "params:data_preparation",
            "params:seed",
            "params:model",
            "params:training",
            "params:pseudo_labels",
            "params:linear_evaluation",
            "params:detection_transfer",
        },
    )
