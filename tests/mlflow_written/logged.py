"""Ways of logging and registering: from runs and logged models, by Lightning's autologging, through a server."""

import os

import desk as desks
import mlflow
import torch
from desk import MAJOR, Desk
from server import tracking_server
from ways import BOTH, CODE, way

MLFLOW_3 = MAJOR >= 3


@way("pickle", **CODE, because=("class",))
def lightning_autologged(desk: Desk):
    """Logged by mlflow.pytorch.autolog while Lightning trains."""
    import lightning.pytorch as lightning
    from torch.utils.data import DataLoader, TensorDataset

    desk.network = desks.own("lightning_network")
    mlflow.pytorch.autolog()
    try:
        data = DataLoader(TensorDataset(desk.inputs[0], torch.tensor([0, 1])), batch_size=2)
        quiet = {"enable_progress_bar": False, "enable_checkpointing": False, "logger": False}
        with mlflow.start_run() as run:
            lightning.Trainer(max_epochs=1, accelerator="cpu", **quiet).fit(desk.network.train(), data)
    finally:
        mlflow.pytorch.autolog(disable=True)
    desk.network.eval()
    desk.download(f"runs:/{run.info.run_id}/model")


@way("pickle", holds="no-model")
def state_dict(desk: Desk):
    """log_state_dict, which writes no MLmodel."""
    with mlflow.start_run() as run:
        mlflow.pytorch.log_state_dict(desk.network.state_dict(), "weights")
    desk.download(f"runs:/{run.info.run_id}/weights")
    desk.inputs = ()


@way(*BOTH)
def run(desk: Desk):
    """Logged into a run, downloaded by runs:/RUN/model."""
    if MLFLOW_3:
        with mlflow.start_run() as started:
            mlflow.pytorch.log_model(desk.network, name="model", **desk.options({}))
        desk.download(f"runs:/{started.info.run_id}/model")
    else:
        desk.download(desk.log(input_example=desk.arrays[0]).model_uri)


@way("pickle", where=MLFLOW_3)
def artifact_path(desk: Desk):
    """Logged with MLflow 2's argument artifact_path, downloaded by runs:/RUN/model."""
    with mlflow.start_run() as started:
        mlflow.pytorch.log_model(desk.network, artifact_path="model", **desk.options({"signature": desk.signature}))
    desk.download(f"runs:/{started.info.run_id}/model")


@way(*BOTH, where=MLFLOW_3)
def logged_model(desk: Desk):
    """log_model(name=…) without a run, downloaded by models:/m-…."""
    said = mlflow.pytorch.log_model(desk.network, name="digits", **desk.options({"input_example": desk.arrays[0]}))
    desk.download(f"models:/{said.model_id}")


@way(*BOTH)
def registered(desk: Desk):
    """Logged with registered_model_name, downloaded by models:/NAME/1, which adds registered_model_meta."""
    name = f"digits-{desk.form}"
    desk.log(registered_model_name=name, signature=desk.signature)
    desk.download(f"models:/{name}/1")


@way(*BOTH)
def registered_from_run(desk: Desk):
    """Logged, then register_model(runs:/…), downloaded by models:/NAME/1."""
    name = f"late-{desk.form}"
    with mlflow.start_run() as started:
        where = {"name": "model"} if MLFLOW_3 else {"artifact_path": "model"}
        mlflow.pytorch.log_model(desk.network, **where, **desk.options({"input_example": desk.arrays[0]}))
    mlflow.register_model(f"runs:/{started.info.run_id}/model", name)
    desk.download(f"models:/{name}/1")


@way(*BOTH, where=MLFLOW_3)
def registered_from_logged_model(desk: Desk):
    """log_model(name=…), then register_model(models:/m-…), downloaded by models:/NAME/1."""
    name = f"logged-{desk.form}"
    said = desk.log(name="digits", signature=desk.signature)
    mlflow.register_model(f"models:/{said.model_id}", name)
    desk.download(f"models:/{name}/1")


@way("pt2" if desks.EXPORTS else "pickle")  # a server takes its time to start
def served_registry(desk: Desk):
    """Registered with a tracking server that also serves the artifacts, downloaded by models:/NAME/1."""
    with tracking_server():
        desk.log(registered_model_name="served", input_example=desk.arrays[0])
        desk.download("models:/served/1")


@way("pickle")
def alias(desk: Desk):
    """Registered with a description, tags and an alias, downloaded by models:/NAME@production."""
    desk.log(registered_model_name="named", signature=desk.signature, metadata={"stage": "trial"})
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("named", "production", "1")
    desk.download("models:/named@production")


@way("pickle")
def databricks_runtime(desk: Desk):
    """Logged where DATABRICKS_RUNTIME_VERSION is set, as it is in Databricks."""
    os.environ["DATABRICKS_RUNTIME_VERSION"] = "15.4"
    try:
        desk.download(desk.log(signature=desk.signature).model_uri)
    finally:
        del os.environ["DATABRICKS_RUNTIME_VERSION"]
