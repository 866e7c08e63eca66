"""The site file, the profile made of it, and how `run` asks for the state of jobs."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake_executor_plugin_slurm import job_status_query

from instruct_scaling.commands.slurm import controller
from instruct_scaling.commands.slurm.controller import (
    Status,
    choose_status,
    parse_config,
    status_arguments,
)
from instruct_scaling.commands.slurm.profile import (
    SHIPPED,
    fitted,
    profile,
    read_profile,
    refuse_replaced_blocks,
)
from instruct_scaling.commands.slurm.site import Site, find_site, load_site
from instruct_scaling.common.errors import InputError
from tests.commands.fake_slurm import install
from tests.commands.test_cli import cli
from tests.studies import edited, tiny_study

SITE = {
    "account": "my-project",
    "cpu": {"partition": "cpu-long", "cpus": 32, "memory_gb": 60, "hours": 3},
    "gpu": {
        "partition": "gpu",
        "gpus": 4,
        "gpu_type": "a100",
        "cpus": 48,
        "memory_gb": 480,
        "hours": 24,
        "constraint": "a100-80",
    },
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder with SLURM's commands on PATH; see `fake_slurm`."""
    folder = tmp_path / "slurm"
    monkeypatch.setenv("PATH", f"{install(folder)}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def written(tmp_path):
    """Writes a site file with values at dotted paths replaced."""

    def write(**values):
        site = SITE
        for path, value in values.items():
            site = edited(site, path.replace("__", "."), value)
        file = tmp_path / "site.yaml"
        file.write_text(yaml.safe_dump(site, sort_keys=False), "utf-8")
        return file

    return write


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cpu: {partition: a\n", "line 2: not valid YAML"),
        ("- a\n", "line 1: not a mapping of keys"),
        (
            "acount: x\ncpu: {partition: a, cpus: 1, memory_gb: 1, hours: 1}\n"
            "gpu: {partition: b, gpus: 1, cpus: 1, memory_gb: 1, hours: 1}\n",
            "line 1: acount: unknown key; did you mean 'account'?",
        ),
        (
            "cpu: {partition: a, cpus: 1, memory_gb: 1, hours: 1}\n"
            "gpu:\n  partition: b\n  gpus: 8\n  cpus: 4\n  memory_gb: 1\n  hours: 1\n",
            "line 2: gpu: 4 CPUs for 8 GPUs: every rank needs one",
        ),
        (
            "cpu: {partition: a, cpus: 1, memory_gb: 1, hours: 1}\n"
            "gpu:\n  partition: b\n  gpus: none\n  cpus: 4\n  memory_gb: 1\n  hours: 1\n",
            "line 4: gpu.gpus: input should be a valid integer",
        ),
    ],
)
def test_a_mistake_in_a_site_file_is_named_with_its_line(tmp_path, text, says):
    path = tmp_path / "site.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"site\.yaml") as error:
        load_site(path)
    assert says in str(error.value)


def test_the_site_is_named_or_lies_beside_the_study(tmp_path, monkeypatch, written):
    study = tmp_path / "study.yaml"
    monkeypatch.delenv("INSTRUCT_SCALING_SITE", raising=False)
    assert find_site(study, None) is None
    assert find_site(study, written()) == find_site(study, None) == tmp_path / "site.yaml"
    monkeypatch.setenv("INSTRUCT_SCALING_SITE", str(tmp_path / "other.yaml"))
    with pytest.raises(InputError, match=r"INSTRUCT_SCALING_SITE .*no such site file"):
        find_site(study, None)


def test_the_profile_of_a_site_has_its_partitions_gpus_ranks_and_threads(written, tmp_path, capsys):
    profile(written(), tmp_path / "profile")
    found = read_profile(tmp_path / "profile")
    assert "4 ranks on a node of gpu, 12 threads each" in capsys.readouterr().out
    tuned = found["set-resources"]["finetune"]
    assert (tuned["gres"], tuned["ranks"], tuned["nodes"]) == ("'gpu:a100:4'", 4, 1)
    assert tuned["cpus_per_task"] == found["set-threads"]["finetune"] == 48
    assert (tuned["limit_megabytes"], tuned["limit_minutes"]) == (480_000, 24 * 60)
    answers = found["set-resources"]["generate"]
    assert (answers["gres"], answers["constraint"]) == ("'gpu:a100:1'", "'a100-80'")
    defaults = found["default-resources"]
    assert (defaults["slurm_partition"], defaults["slurm_account"]) == (
        "'cpu-long'",
        "'my-project'",
    )
    for rule, name in (("pool", "mem_mb"), ("base", "limit_megabytes")):
        assert amount(found["set-resources"][rule], name) == 60_000  # they want more


def test_the_constraint_of_cpu_nodes_does_not_reach_gpu_jobs(written):
    site = load_site(written(cpu__constraint="big", gpu__constraint=None))
    found = fitted(read_profile(SHIPPED / "slurm"), site)
    assert found["default-resources"]["constraint"] == "'big'"
    for rule in ("finetune", "generate"):
        assert found["set-resources"][rule]["constraint"] == "''"


def test_two_nodes_have_a_rank_for_each_gpu_and_share_out_the_cpus(written):
    shipped = read_profile(SHIPPED / "slurm-multinode")
    site = load_site(written(finetune_nodes=2, gpu__cpus=50))
    found = fitted(shipped, site)
    tuned = found["set-resources"]["finetune"]
    wanted = {"nodes": 2, "ranks": 8, "tasks_per_node": 4, "tasks_per_gpu": 0, "mpi": "srun"}
    assert wanted.items() <= tuned.items()
    assert "tasks" not in tuned
    single = fitted(shipped, load_site(written(finetune_nodes=2, gpu__gpus=1)))
    assert single["set-resources"]["finetune"]["tasks"] == 2  # one a node is refused by the plugin
    assert "tasks_per_node" not in single["set-resources"]["finetune"]
    assert (tuned["launcher"], tuned["gres"]) == ("srun", "'gpu:a100:4'")
    assert tuned["cpus_per_task"] == found["set-threads"]["finetune"] == 12


NODES = {
    "cpus": st.integers(1, 256),
    "memory_gb": st.integers(1, 4000),
    "hours": st.integers(1, 200),
}


def amount(block, name, attempt=1):
    """What a job asks for: a number of the profile, or an expression that Snakemake evaluates."""
    value = block.get(name, 0)
    return eval(value, {"attempt": attempt, "min": min}) if isinstance(value, str) else value


@given(
    cpu=st.fixed_dictionaries(NODES | {"partition": st.just("c")}),
    gpu=st.fixed_dictionaries(NODES | {"partition": st.just("g"), "gpus": st.integers(1, 16)}),
    nodes=st.integers(1, 4),
)
def test_no_job_asks_for_more_than_a_node_has(cpu, gpu, nodes):
    gpu["cpus"] = max(gpu["cpus"], gpu["gpus"])
    site = Site.model_validate({"cpu": cpu, "gpu": gpu, "finetune_nodes": nodes})
    found = fitted(read_profile(SHIPPED / ("slurm" if nodes == 1 else "slurm-multinode")), site)
    for block in [found["default-resources"], *found["set-resources"].values()]:
        on = site.gpu if block.get("slurm_partition") == "'g'" else site.cpu
        gpus = int(block["gres"].strip("'").split(":")[-1]) if "gres" in block else 0
        tasks = block.get("tasks_per_node", 1)
        assert block.get("cpus_per_task", 1) * tasks <= on.cpus
        for attempt in (1, 3):
            for name in ("mem_mb", "limit_megabytes"):
                assert amount(block, name, attempt) <= on.memory_gb * 1000
            for name in ("runtime", "limit_minutes"):
                assert amount(block, name, attempt) <= on.hours * 60
        assert gpus <= site.gpu.gpus
        if gpus == 1 < site.gpu.gpus:  # as many such jobs as GPUs fit on a node
            assert block["cpus_per_task"] * site.gpu.gpus <= on.cpus
            for name in ("mem_mb", "limit_megabytes"):
                assert amount(block, name) * site.gpu.gpus <= on.memory_gb * 1000
    assert found["set-resources"]["finetune"]["ranks"] == site.gpu.gpus * nodes


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set-resources", "finetune:ranks=16"],
        ["--set-resources=finetune:ranks=16"],
        ["figures", "--set-threads", "finetune=4"],
        ["--default-resources", "mem_mb=1"],
        ["--group-components", "judge=1"],
    ],
)
def test_an_option_that_would_drop_a_block_of_the_profile_is_refused(arguments):
    shipped = read_profile(SHIPPED / "slurm")
    with pytest.raises(InputError, match="replace the whole block") as error:
        refuse_replaced_blocks(arguments, shipped)
    assert "site file" in error.value.fix
    refuse_replaced_blocks(arguments, read_profile(SHIPPED / "local"))


def test_run_refuses_such_an_option_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(tiny_study()), "utf-8")
    more = ("--set-resources", "finetune:ranks=16", "-n")
    done = cli("run", "study.yaml", "--profile", "slurm", *more)
    assert done.returncode == 2
    assert "error: --set-resources: it would replace the whole block" in done.stderr


OFF = {"AccountingStorageType": "accounting_storage/none", "MinJobAge": "300 sec"}
ON = OFF | {"AccountingStorageType": "accounting_storage/slurmdbd"}


@pytest.mark.parametrize(
    ("config", "error", "command", "says"),
    [
        (ON, None, "sacct", "accounting works"),
        (OFF, None, "squeue", "the cluster has no accounting"),
        (OFF, "disabled", "squeue", "the cluster has no accounting"),
        (ON, "Connection refused", "squeue", "does not answer (Connection refused)"),
        ({}, None, "squeue", "the cluster has no accounting"),
    ],
)
def test_accounting_is_used_where_it_works(config, error, command, says):
    found = choose_status(config, error)
    assert found.command == command
    assert says in str(found)
    assert found.warning is None


@given(age=st.integers(3, 10_000))
def test_the_first_poll_comes_before_the_plugin_would_leave_squeue(age):
    found = choose_status(OFF | {"MinJobAge": f"{age} sec"}, None)
    assert 3 * found.first_poll_seconds <= age or found.first_poll_seconds == 1
    assert (found.warning is not None) == (age < 200)


def test_the_controller_s_config_is_read_as_it_is_printed():
    text = "Configuration data as of now\nMinJobAge               = 300 sec\nEpilog = (null)\n"
    assert parse_config(text) == {"MinJobAge": "300 sec", "Epilog": "(null)"}


def test_options_of_the_user_stay():
    given_ = {"--slurm-status-command"}
    found = status_arguments(Status("squeue", "why"), given_)
    assert "--slurm-status-command" not in found
    assert found[found.index("--slurm-status-attempts") + 1] == "17280"


def test_where_accounting_is_off_the_plugin_s_sacct_asks_squeue(slurm, monkeypatch):
    """The plugin's own command fails on such a cluster; it then gives the states of its jobs."""
    subprocess.run(["sbatch", "--job-name", "me", "--comment", "rule_a"], check=True)
    query = job_status_query.query_job_status_sacct("me")
    before = subprocess.run(query, shell=True, capture_output=True, text=True)
    assert before.returncode != 0
    controller.use_commands(choose_status(controller.controller_config(), "off"))
    after = subprocess.run(query, shell=True, capture_output=True, text=True)
    assert (after.returncode, after.stdout) == (0, "1|PENDING\n")
    (slurm / "down").touch()
    assert subprocess.run(query, shell=True, capture_output=True).returncode != 0
    reason = ["sacct", "-j", "1.0", "--format=Reason", "--noheader"]
    assert subprocess.run(reason, capture_output=True).stdout == b""


@pytest.fixture
def submission(slurm, monkeypatch):
    """Our sbatch before SLURM's, impatient."""
    monkeypatch.setenv("INSTRUCT_SCALING_SBATCH_PAUSE", "0.1")
    monkeypatch.setenv("INSTRUCT_SCALING_SBATCH_SECONDS", "5")
    monkeypatch.setenv("PATH", f"{controller.SUBMIT}:{os.environ['PATH']}")

    def submit(**more):
        command = ["sbatch", "--job-name", "me", "--comment", "rule_a", "--parsable"]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=20, env=os.environ | more
        )

    return submit


def test_a_submission_outlasts_a_controller_that_is_away(slurm, submission):
    (slurm / "refusals").write_text("3")
    done = submission()
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert (slurm / "refusals").read_text() == "0"


def test_a_submission_whose_answer_was_lost_is_not_repeated(slurm, submission):
    assert submission().stdout == "1\n"
    (slurm / "refusals").write_text("1")
    done = submission()
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert len(list((slurm / "jobs").iterdir())) == 1


def test_a_submission_that_slurm_refuses_fails_at_once(slurm, submission):
    (slurm / "bin" / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2; exit 1\n")
    began = time.monotonic()
    done = submission()
    assert time.monotonic() - began < 3
    assert (done.returncode, done.stderr) == (1, "invalid partition\n")


def test_a_submission_gives_up_in_the_end(slurm, submission):
    (slurm / "refusals").write_text("100")
    done = submission(INSTRUCT_SCALING_SBATCH_SECONDS="1")
    assert done.returncode == 1
    assert "Unable to contact slurm controller" in done.stderr


def test_a_controller_that_does_not_answer_is_named(slurm):
    (slurm / "down").touch()
    with pytest.raises(InputError, match=r"controller does not answer: .*connect failure"):
        controller.controller_config()
