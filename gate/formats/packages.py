"""Distributions that a model's environment may name: what is installed beside a model runs where the model is served.

A name outside this list is reported, and a policy may add it (`allowed-packages` of `consumer-hazards`): an index
serves any code under a name, so a new one is code that nobody looked at. The list holds what MLflow infers for models
of images, numbers and text: it grants a name, not a version.
"""

from typing import Final

_MLFLOW = "mlflow mlflow-skinny mlflow-tracing databricks-sdk databricks-connect cloudpickle alembic sqlalchemy"
_TORCH = (
    "torch torchvision torchaudio torchtext torchmetrics torchdata torchao lightning pytorch-lightning "
    "lightning-utilities pytorch-ignite pytorch-forecasting timm monai kornia captum einops "
    "segmentation-models-pytorch efficientnet-pytorch pretrainedmodels torch-geometric triton "
    "lightning-fabric torchinfo torchsummary fastai fastcore fastprogress ultralytics open-clip-torch facenet-pytorch "
    "pytorch-metric-learning webdataset mlxtend"
)
_HUGGING_FACE = (
    "transformers tokenizers safetensors sentencepiece accelerate datasets evaluate peft huggingface-hub diffusers "
    "sentence-transformers optimum hf-xet"
)
_NUMBERS = (
    "numpy scipy pandas polars pyarrow scikit-learn scikit-image joblib threadpoolctl numba llvmlite numexpr "
    "bottleneck statsmodels shap xgboost lightgbm catboost h5py ml-dtypes opt-einsum sympy mpmath networkx"
)
_PICTURES = (
    "pillow opencv-python opencv-python-headless opencv-contrib-python opencv-contrib-python-headless albumentations "
    "albucore imageio tifffile matplotlib seaborn"
)
_FORMATS = "onnx onnxruntime onnxruntime-gpu tensorflow keras protobuf pyyaml jinja2 markupsafe orjson regex nltk spacy"
_TOOLS = (
    "pip setuptools wheel packaging typing-extensions filelock fsspec s3fs gcsfs boto3 botocore azure-identity "
    "azure-storage-blob google-cloud-storage requests urllib3 certifi charset-normalizer idna click tqdm psutil attrs "
    "six python-dateutil pytz tzdata cffi defusedxml astunparse ipython ipykernel pydantic fastapi uvicorn flask "
    "gunicorn optuna ray hydra-core omegaconf tensorboard tensorboardx wandb rich loguru"
)
_VENDORED = (
    "jaraco-collections jaraco-context jaraco-functools jaraco-text more-itertools autocommand inflect typeguard "
    "backports-tarfile importlib-metadata importlib-resources zipp tomli platformdirs ordered-set"
)
"""Packages vendored by setuptools: MLflow 2.22 infers them if they are on the import path."""
_NVIDIA = (
    "nvidia-cublas-cu12 nvidia-cuda-cupti-cu12 nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12 nvidia-cudnn-cu12 "
    "nvidia-cufft-cu12 nvidia-curand-cu12 nvidia-cusolver-cu12 nvidia-cusparse-cu12 nvidia-cusparselt-cu12 "
    "nvidia-nccl-cu12 nvidia-nvjitlink-cu12 nvidia-nvtx-cu12"
)
_GROUPS = (_MLFLOW, _TORCH, _HUGGING_FACE, _NUMBERS, _PICTURES, _FORMATS, _TOOLS, _VENDORED, _NVIDIA)
PACKAGES: Final = frozenset(name for group in _GROUPS for name in group.split())
"""Names as the index normalises them: lower case, hyphens."""

_CONDA = "python pip pytorch pytorch-cuda pytorch-mutex cpuonly cudatoolkit cuda-version mkl blas openblas libblas"
CONDA_PACKAGES: Final = frozenset(_CONDA.split())
"""Further names that a conda file may hold: conda's own for the same packages."""

CHANNELS: Final = frozenset({"conda-forge", "defaults", "nodefaults", "pytorch", "nvidia"})
"""Channels that a conda file may name."""
