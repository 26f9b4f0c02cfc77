"""The optimizer of the paper's update rule."""

from collections.abc import Callable

from torch.optim import SGD


class PaperSGD(SGD):
    """The paper's update: v <- momentum v - decay lr w - lr g, w <- w + v (§5; 2012 source, src/weights.cu).

    The learning rate is part of the velocity, which therefore keeps its size when the rate drops. Torch's
    buffer is the velocity divided by -lr, and a drop would shrink the velocity at once; here the buffer is
    rescaled when the rate changes. A rate of 0 stops a group at once.
    """

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            if group["lr"] == 0:
                continue
            before = group.setdefault("velocity_lr", group["lr"])
            if before != group["lr"]:
                for parameter in group["params"]:
                    buffer = self.state[parameter].get("momentum_buffer")
                    if buffer is not None:
                        buffer.mul_(before / group["lr"])
                group["velocity_lr"] = group["lr"]
        return super().step(closure)
