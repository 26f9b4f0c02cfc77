"""Names of sweeps and jobs: stable, readable, safe for a file system."""

from alexnet.sweeps.naming import job_name, settings_name, sweep_name


def test_a_job_is_named_by_what_it_sets_beyond_the_command() -> None:
    command = ["model.lrn=true,false", "seed=range(0,3)", "data.root='/my photos'", "trainer.max_epochs=3"]
    job = ["model.lrn=False", "seed=1", "data.root='/my photos'", "trainer.max_epochs=3"]
    assert job_name(job, command) == "model.lrn=false,seed=1"
    assert job_name(["seed=0"], ["seed=0"]) == "run"


def test_a_sweeper_s_own_parameters_are_in_the_name() -> None:
    assert job_name(["model=alexnet", "optimizer.lr=0.013"], ["model=alexnet"]) == "optimizer.lr=0.013"


def test_names_are_safe_and_differ() -> None:
    command = ["model.filters=[1],[2]", "data.root=a,b"]
    names = [job_name([f"data.root='{root}'"], command) for root in ("/a b", "/a_b", "/a/b", "é" * 300)]
    assert len(set(names)) == 4
    assert all(len(name) < 200 and "/" not in name and " " not in name and name.isascii() for name in names)


def test_more_values_belong_to_the_same_sweep() -> None:
    name = sweep_name(["model.lrn=true,false", "seed=0,1", "model.width=0.25"])
    assert name == sweep_name(["model.width=0.25", "seed=0,1,2,3", "model.lrn=false,true"])
    assert name.startswith("model.lrn,seed_")
    assert name != sweep_name(["model.lrn=true,false", "seed=0,1", "model.width=0.5"])


def test_where_the_outputs_and_the_data_lie_is_not_part_of_the_name() -> None:
    places = ["outputs=/a", "logger=csv", "data.root='/x/a,b'", "data.pack=/p", "data.max_unreadable=0.1"]
    assert sweep_name(["seed=0,1", *places]) == sweep_name(["seed=0,1"])
    assert sweep_name(["model.lrn=true,false", "seed=1"]) != sweep_name(["model.lrn=true,false", "seed=2"])


def test_an_experiment_that_all_arms_have_is_in_a_study_s_name() -> None:
    assert settings_name(["study=performance"]) == "default"
    assert settings_name(["study=performance", "experiment=no_lrn", "seed=1"]) == "experiment=no_lrn"
