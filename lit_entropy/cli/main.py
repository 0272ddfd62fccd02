"""The command line of experiments: ``lit-entropy fit|validate|test|predict|plan``."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import lightning as L
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, Namespace
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_only
from omegaconf.errors import OmegaConfBaseException

from lit_entropy.atomic import atomic_write
from lit_entropy.callbacks.run_checkpoint import RunCheckpoint
from lit_entropy.callbacks.samples import to_lines
from lit_entropy.checkpoints.io import LAST, AtomicCheckpointIO, resolve_checkpoint
from lit_entropy.cli.allocator import keep_freed_memory
from lit_entropy.cli.arguments import ready_arguments
from lit_entropy.cli.building import mark, mark_trainer, naming
from lit_entropy.cli.classes import BASES, base_class, choose, load_class
from lit_entropy.cli.commands import (
    COMMANDS,
    SUMMARIES,
    add_command_arguments,
    load,
    run_command,
    split_words,
    summaries,
    takes_experiment,
)
from lit_entropy.cli.early import (
    check_accelerator,
    check_predictions,
    check_requeued,
    check_seed,
    without_requeue,
)
from lit_entropy.cli.loggers import completed, in_run_folder, with_save_dirs
from lit_entropy.cli.missing_files import check_trainer_files
from lit_entropy.cli.names import changes_of, check_place, evaluation_name, name_run
from lit_entropy.cli.notices import hide_notices
from lit_entropy.cli.options import RunOptions, run_loggers
from lit_entropy.cli.parser import WHOLE, WITHOUT_COMMAND, CommandParser, set_up_parsing
from lit_entropy.cli.record import ExperimentRecord, check_checkpoint, plain_config, run_folder_of
from lit_entropy.cli.refusals import ended_by_signal, refuse, unresolved
from lit_entropy.cli.replaced_callbacks import replaced_callbacks
from lit_entropy.cli.validate import evaluate, targets
from lit_entropy.errors import CheckpointError, PartError
from lit_entropy.evaluation.ranks import in_problem_order
from lit_entropy.evaluation.report.records import Report
from lit_entropy.tracking.redaction import require_shown
from lit_entropy.tracking.run_folder import (
    announce_run,
    claim_run_folder,
    sweep_run_folder,
)
from lit_entropy.tracking.run_lock import RunLock
from lit_entropy.tracking.unfinished import release_run_folder


class ExperimentParser(CommandParser, LightningArgumentParser):
    """The parser of a command that takes an experiment."""


class EntropyCLI(LightningCLI):
    """LightningCLI with run folders, one seed, component files and function subcommands."""

    def __init__(
        self, args: list[str], passed: list[str], paths: Mapping[str, str], **options: Any
    ) -> None:
        """Parse and run.

        Args:
            args: the words of the command line.
            passed: words that a subcommand passes on to ``fit``.
            paths: class paths of the module and the data module, where they are not the stock ones.
            options: as of LightningCLI.
        """
        self._paths, self._passed = dict(paths), passed
        self._called = args[0] if args else ""
        self._changes = changes_of(args[1:], paths)
        self._replaced = replaced_callbacks(args[1:])
        super().__init__(args=args, **options)

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the seed: a number, since a drawn one could not key the random numbers."""
        text = "Seed of prompts, samples, minibatches and random token draws."
        default = self.seed_everything_default
        parser.add_argument("--seed_everything", type=int, default=default, help=text)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run options, the checkpoint callback and the links."""
        cast(ExperimentParser, parser).paths = self._paths
        parser.add_argument("--run", type=RunOptions, default=RunOptions())
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "trainer.num_sanity_val_steps": 0,
                "trainer.log_every_n_steps": 1,
                "trainer.use_distributed_sampler": False,
            }
        )
        parser.link_arguments("seed_everything", "data.seed")

    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: object
    ) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "validate":
            parser.add_argument(
                "--checkpoints",
                type=list[str] | None,
                default=None,
                help="Several policies in one call: checkpoint files, last, or base for the "
                "untouched model; paired differences are taken against the first.",
            )
            parser.set_defaults({"verbose": False})  # the report's table is printed
        return parser

    def _add_subcommands(
        self, parser: LightningArgumentParser, **kwargs: dict[str, object]
    ) -> None:
        # the stock method shows Trainer's own summaries, and fills the parsers of all subcommands,
        # 0.1 s each: here that of the one that is called, or all where options come first
        self._subcommand_parsers = {}
        subcommands = parser.add_subcommands()
        helps = summaries()
        for name, description in helps.items():
            filled = name == self._called or self._called not in (*helps, *WITHOUT_COMMAND)
            if filled and name in SUMMARIES:
                options = {"description": description} | kwargs.get(name, {})
                own = self._prepare_subcommand_parser(L.Trainer, name, **options)
            else:
                own = self.init_parser(description=description)
            if filled and name in COMMANDS:
                add_experiment = self._add_arguments if takes_experiment(name) else None
                add_command_arguments(own, load(name), add_experiment)
            self._subcommand_parsers[name] = own
            subcommands.add_subcommand(name, own, help=description)

    def _parse_ckpt_path(self) -> None:
        # the stock method lets the checkpoint's arguments win over the command line, silently;
        # here the configuration given counts and check_checkpoint refuses one that differs
        return None

    def _set_seed(self) -> None:
        if self.config["subcommand"] not in COMMANDS:
            check_seed(self.config[self.config["subcommand"]].seed_everything)
            super()._set_seed()

    def before_instantiate_classes(self) -> None:
        """Resolve the run folder and the checkpoint before anything heavy is built."""
        if self.subcommand in COMMANDS:
            return
        config = self.config[self.subcommand]
        require_shown(config.as_dict())
        check_trainer_files(vars(config.trainer))
        check_accelerator(config.trainer.accelerator)
        check_predictions(config.get("return_predictions"))
        if config.ckpt_path is None:
            check_requeued(config.trainer.default_root_dir)
        run = config.run
        name_run(run, self._changes, config.seed_everything)
        resume = self.subcommand == "fit" and config.ckpt_path is not None
        self._named = resume and config.ckpt_path != LAST
        if self.subcommand == "validate":
            folder = Path(run.folder) / run.name
            self._targets = targets(config.checkpoints, config.ckpt_path, folder)
        if config.ckpt_path is not None:
            path = Path(resolve_checkpoint(config.ckpt_path, Path(run.folder) / run.name))
            config.ckpt_path = str(path)
        if resume:
            folder = run_folder_of(path)
            if (Path(run.folder) / run.name).resolve() != folder:
                check_place(run, self._changes, folder)
                run.folder, run.name = str(folder.parent), folder.name
            check_checkpoint(path, plain_config(self._parser(self.subcommand), config))
        name = run.name if self.subcommand == "fit" else self._evaluation_name(config)
        try:
            run.name = claim_run_folder(run.folder, name, resume=resume, announce=False)
        except ValueError as error:
            mark(error, "run", RunOptions)
            raise
        self._announce = partial(announce_run, run.folder, name, run.name)
        folder = Path(run.folder) / run.name
        self._claimed = None if resume else folder
        owns = getattr(rank_zero_only, "rank", 0) in (None, 0)
        self._lock = RunLock(folder, owns)
        if resume:
            sweep_run_folder(folder)

    def _evaluation_name(self, config: Namespace) -> str:
        targets = self._targets if self.subcommand == "validate" else ()
        paths = [target.checkpoint for target in targets] or [config.ckpt_path]
        read = [path for path in paths if path is not None]
        return evaluation_name(config.run, str(self.subcommand), read, self._changes.explicit)

    def instantiate_classes(self) -> None:
        """Build model, data and trainer; nothing for a function subcommand."""
        if self.subcommand in COMMANDS:
            return
        config = self.config[self.subcommand]
        try:
            with in_run_folder(config.trainer, Path(config.run.folder) / config.run.name):
                self._build(config)
        except BaseException:
            self._lock.release()
            release_run_folder(self._claimed)
            raise
        self._announce()  # not before: what is refused has no name
        if self._replaced and self.subcommand == "fit":
            rank_zero_info(self._replaced)

    def _build(self, config: Namespace) -> None:
        with naming(self.parser, config, self._groups):
            super().instantiate_classes()

    @property
    def _groups(self) -> dict[Any, str]:
        """The classes whose arguments stand without a class path, with their keys."""
        own = {self._model_class: "model", self._datamodule_class: "data"}
        return own | {RunCheckpoint: "checkpoint", RunOptions: "run"}

    def instantiate_trainer(self, **kwargs: object) -> L.Trainer:
        """Build the trainer with the CSV logger first and checkpoints written atomically."""
        config = self.config_init[self.subcommand]
        trainer = config.trainer
        plugins = trainer.get("plugins") or []
        plugins = list(plugins) if isinstance(plugins, Sequence) else [plugins]
        loggers = run_loggers(config.run, trainer.get("logger"))
        try:
            built = super().instantiate_trainer(
                logger=loggers, plugins=[*plugins, AtomicCheckpointIO()], **kwargs
            )
        except Exception as error:
            mark_trainer(error, trainer.as_dict())
            raise
        without_requeue(built)
        return built

    def before_fit(self) -> None:
        """Let a checkpoint be kept that was named, not that of ``last``, which the run leaves."""
        for callback in self.trainer.checkpoint_callbacks:
            if isinstance(callback, RunCheckpoint):
                callback.keeps_resumed = self._named

    def validate(self, **arguments: Any) -> Report:
        """Evaluate the policies asked for and write ``validation.json``, a table and a plot."""
        return evaluate(
            self.trainer,
            arguments.pop("model"),
            self._targets,
            **{key: value for key, value in arguments.items() if key != "ckpt_path"},
        )

    def predict(self, **arguments: Any) -> list[Any]:
        """Write greedy responses to held-out problems to ``predictions.jsonl``."""
        outputs = self.trainer.predict(**arguments) or []
        own = [sample for batch in outputs for sample in batch]
        samples = in_problem_order(arguments["model"].ranks.gather_objects(own))
        path = Path(self.trainer.log_dir or ".") / "predictions.jsonl"  # the folder is a collective
        if self.trainer.is_global_zero:
            with atomic_write(path) as file:
                file.write(to_lines(samples).encode())
            print(f"predictions: {path}", flush=True)
        return outputs

    def _run_subcommand(self, subcommand: str) -> None:
        if subcommand in COMMANDS:
            parser, config = self._parser(subcommand), self.config[subcommand]
            with naming(parser, config, self._groups):
                run_command(subcommand, parser, config, lambda: main, self._passed)
            return
        try:
            self._work(subcommand)
        except BaseException:
            self._lock.release()
            release_run_folder(self._claimed, trains=subcommand == "fit")
            raise
        finally:
            self._lock.release()

    def _work(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except KeyError as error:  # Lightning reads its version before anything else
            if "pytorch-lightning_version" not in error.args:
                raise
            raise CheckpointError(
                f"{self.trainer.ckpt_path} holds weights alone, no state of a run: name a "
                "checkpoint of lit-entropy fit"
            ) from error
        except SystemExit as end:
            if end.code or ended_by_signal(end):
                raise
            raise PartError(
                "a part of the run ended the process (sys.exit) before the run was over: let it "
                "raise an error, or set trainer.should_stop"
            ) from end


def main(args: list[str] | None = None) -> EntropyCLI:
    """Run the command line.

    Args:
        args: arguments instead of those of the process; a bad name ends it with exit code 2.

    Returns:
        The CLI object, with the trainer, module and data of the finished run.
    """
    hide_notices()
    keep_freed_memory()
    try:
        words, passed = split_words(sys.argv[1:] if args is None else args)
        paths, arguments, named = choose(ready_arguments(with_save_dirs(words)))
        bases = {group: base_class(group) for group in BASES}
        classes = bases | {group: load_class(group, path) for group, path in paths.items()}
    except ValueError as error:
        refuse(str(error))
    set_up_parsing(named, completed)
    try:
        return EntropyCLI(
            arguments,
            passed,
            {group: path for group, path in paths.items() if classes[group] != bases[group]},
            model_class=classes["model"],
            datamodule_class=classes["data"],
            save_config_callback=ExperimentRecord,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_class=ExperimentParser,
            parser_kwargs=dict(WHOLE),
        )
    except OmegaConfBaseException as error:
        refuse(unresolved(error))
    except SIGTERMException:  # Lightning would end with exit code 0
        sys.exit(143)
