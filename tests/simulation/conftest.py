"""The option that tells one life: ``pytest tests/simulation --seed 223 -s``."""


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, help="live only this life of the simulation, and tell it")


def pytest_collection_modifyitems(config, items):
    told = config.getoption("seed", None) is not None
    for item in list(items):
        if item.path.parent.name == "simulation" and told != (item.name == "test_the_life_of_this_seed"):
            items.remove(item)
