"""Hand-made features and a linear classifier, the baseline before AlexNet."""

from alexnet.errors import UserError


def check_installed() -> None:
    """Raise `UserError` where scikit-image or scikit-learn is not installed."""
    try:
        import skimage.feature  # noqa: F401
        import sklearn.linear_model  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise UserError(
            "classical.py needs scikit-image and scikit-learn: install them (the extra `classical` of"
            " pyproject.toml)."
        ) from error
