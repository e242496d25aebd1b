"""A store embedded in SQLite and a folder, with what the tests of this folder ask of a server: it has no accounts."""

from contextlib import chdir, contextmanager

from tests.promotion.accounts import Server


class Embedded(Server):
    """Everybody is the same account, which may do everything; no server has to start or to answer."""

    def __init__(self, folder):
        super().__init__(f"sqlite:///{folder}/mlflow.db", folder)

    @contextmanager
    def account(self, name):
        """Yield MLflow's client, where the store's artifacts are to lie."""
        with chdir(self.folder), super().account(name) as client:
            yield client

    def grant(self, user, kind, resource, permission):
        """Grant nothing: there is no authentication."""
