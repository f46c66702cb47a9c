from kedro.pipeline import Node, Pipeline

from tiny import nodes

CARD, WEIGHTS = "data_preparation.dataset_card", "ssl_training.net_weights"


def register_pipelines():
    data_preparation = Pipeline(
        [
            Node(
                nodes.prepare,
                ["params:data_preparation", "params:seed"],
                ["dataset_card", "metrics"],
                name="prepare",
            )
        ],
        namespace="data_preparation",
        parameters={"params:data_preparation", "params:seed"},
    )
    ssl_training = Pipeline(
        [Node(nodes.train, [CARD, "params:ssl_training"], ["net_weights", "metrics"], name="train")],
        namespace="ssl_training",
        inputs={CARD},
        parameters={"params:ssl_training"},
    )
    reporting = Pipeline(
        [Node(nodes.report, ["run_info", WEIGHTS], "page", name="report")],
        namespace="reporting",
        inputs={WEIGHTS},
    )
    chain = data_preparation + ssl_training + reporting
    stages = {"data_preparation": data_preparation, "ssl_training": ssl_training, "reporting": reporting}
    return {"chain": chain, **stages, "__default__": chain}
