"""AdamW as torch has it, without its compiler, of which an uncompiled training has no use.

torch wraps an optimiser's methods so that its compiler leaves them alone, and each wrapper imports
the compiler at its first call: a second of every start.
"""

from inspect import unwrap

import torch
from torch.optim import Optimizer


class AdamW(torch.optim.AdamW):
    """torch's own methods, unwrapped: the same numbers, hooks and state."""

    add_param_group = unwrap(Optimizer.add_param_group)
    zero_grad = unwrap(Optimizer.zero_grad)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))  # torch adds the hooks
