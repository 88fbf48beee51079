"""The part of the chain that a node runs, as dvc.yaml has it; DVC itself is not needed."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.evaluate.packages import could_add
from pipeline.shared.params.file import ActiveStudy
from pipeline.shared.params.yaml_file import load_yaml
from pipeline.shared.running.listing import METRICS

STAGES = ("tune", "train", "evaluate")
"""In their order, each once a size."""
_MADE_BEFORE = ("tokenize", "eval_sets")


@dataclass(frozen=True, order=True)
class NodeTask:
    """One stage of one size."""

    stage: str
    size: str

    @property
    def title(self) -> str:
        """As DVC names it: `train@small`."""
        return f"{self.stage}@{self.size}"


@dataclass(frozen=True)
class Chain:
    """The commands and places of dvc.yaml for one profile."""

    stages: dict[str, Any]
    profile: str
    sizes: tuple[str, ...]
    """Those of params.yaml, smallest first."""

    def command(self, task: NodeTask) -> list[str]:
        """What DVC would start, with this Python."""
        command = shlex.split(self._fill(self.stages[task.stage]["cmd"], task.size))
        return [sys.executable, *command[1:]]

    def out(self, task: NodeTask) -> Path:
        """The folder that the stage publishes into."""
        command = self.command(task)
        return Path(command[command.index("--out") + 1])

    def is_done(self, task: NodeTask) -> bool:
        """Whether the stage has published everything: metrics.json comes last."""
        return (self.out(task) / METRICS).is_file()

    def is_over(self, task: NodeTask) -> bool:
        """Whether it is done, and no package that it lacked has come since."""
        return self.is_done(task) and not could_add(self.out(task))

    def inputs(self) -> list[Path]:
        """What the stages read that none of them makes: tokens, tokenizer, evaluation sets."""
        before = tuple(f"data/{self.profile}/{name}/" for name in _MADE_BEFORE)
        deps = {
            self._fill(dep, size)
            for stage in STAGES
            for dep in self.stages[stage]["deps"]
            for size in self.sizes
        }
        return [Path(dep) for dep in sorted(deps) if dep.startswith(before)]

    def tasks(self) -> list[NodeTask]:
        """Every stage of every size, stage by stage."""
        return [NodeTask(stage, size) for stage in STAGES for size in self.sizes]

    def _fill(self, text: str, size: str) -> str:
        return text.replace("${profile}", self.profile).replace("${item.size}", size)


def read_chain(study: ActiveStudy, path: Path = Path("dvc.yaml")) -> Chain:
    """The chain of `path`, which stands in the folder that commands start in."""
    return Chain(load_yaml(path)["stages"], study.profile, study.params.sizes)
