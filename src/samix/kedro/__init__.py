"""Where samix meets Kedro and MLflow: session, hooks, datasets. Imports nothing heavy by itself."""
