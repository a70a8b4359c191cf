from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import anc_core
from anc_core.dsp import jit as jit_module
from anc_core.dsp.jit import jit, private_cache_folder, warmup

KERNEL = """
from anc_core.dsp.jit import jit

@jit("float64(float64)")
def twice(x):
    return 2.0 * x
"""


def load(path):
    spec = importlib.util.spec_from_file_location("kernel_of_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_kernel_has_one_specialisation(tmp_path):
    path = tmp_path / "kernel.py"
    path.write_text(KERNEL)
    twice = load(path).twice
    assert twice(np.float64(3.0)) == 6.0
    assert len(twice.signatures) == 1


@pytest.fixture
def nowhere_to_cache(monkeypatch):
    """Numba finds no place of its own: a read-only install without a home folder."""
    import numba
    from numba.core import caching

    from_the_user = caching.UserProvidedCacheLocator
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [from_the_user])
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")


@pytest.mark.usefixtures("nowhere_to_cache")
def test_install_that_cannot_be_written_to_uses_a_private_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = tmp_path / "kernel.py"
    path.write_text(KERNEL)
    assert load(path).twice(np.float64(3.0)) == 6.0
    assert list((Path(private_cache_folder())).rglob("*.nbi"))


@pytest.mark.usefixtures("nowhere_to_cache")
def test_without_any_folder_the_kernel_is_compiled_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(jit_module, "private_cache_folder", lambda: "")
    path = tmp_path / "kernel.py"
    path.write_text(KERNEL)
    assert load(path).twice(np.float64(3.0)) == 6.0


def test_other_errors_of_the_compiler_are_not_swallowed():
    def not_a_kernel(x):
        return object()

    with pytest.raises(Exception, match="object"):
        jit("float64(float64)")(not_a_kernel)


def test_private_folder_is_ours_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = Path(private_cache_folder())
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_folder_that_others_can_write_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Path(private_cache_folder()).chmod(0o777)
    assert private_cache_folder() == ""


def test_symbolic_link_in_place_of_the_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = Path(private_cache_folder())
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert private_cache_folder() == ""


def test_warmup_loads_every_kernel():
    root = Path(anc_core.__file__).parent
    kernels = {
        ".".join(file.relative_to(root.parent).with_suffix("").parts)
        for file in root.rglob("*.py")
        if re.search(r"^(@|\w+ = )jit(_by_dtype)?\(", file.read_text(), re.MULTILINE)
    }
    assert kernels == set(jit_module._KERNEL_MODULES)
    warmup()
    assert kernels <= set(sys.modules)


def test_importing_the_processors_does_not_import_numba_or_scipy():
    code = (
        "import sys, anc_core.processors as p;"
        "p.Suppressor, p.ReferenceCanceller, p.EmergencyGuard, p.Chain, p.aligned;"
        "print(sorted({'numba', 'scipy'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "[]"


LIBRARY = "TIMES = {}\n"
USER = """
from anc_core.dsp.jit import jit
from {package}.constants import TIMES

@jit("float64(float64)")
def multiplied(x):
    return TIMES * x
"""


def test_a_kernel_notices_that_a_constant_of_another_file_has_changed(tmp_path, monkeypatch):
    """Numba looks at the kernel's own file only: its cached code would go on with the old one."""
    monkeypatch.setattr(jit_module, "__file__", str(tmp_path / "package/dsp/jit.py"))
    package = tmp_path / "package"
    package.mkdir()
    (package / "kernels.py").write_text(USER.format(package="package"))
    digests = []
    for times in (2.0, 3.0, 2.0):
        (package / "constants.py").write_text(LIBRARY.format(times))
        jit_module._digest_behind.cache_clear()
        jit_module._imported.cache_clear()
        digests.append(jit_module._digest_behind(package / "kernels.py"))
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


BY_DTYPE = """
from anc_core.dsp.jit import jit_by_dtype

@jit_by_dtype("real(real)")
def twice(x):
    return x + x
"""


def test_each_type_has_an_index_of_its_own(tmp_path, monkeypatch):
    """Two processes that add to one index at once can leave each other's code in it."""
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "kernel.py"
    path.write_text(BY_DTYPE)
    twice = load(path).twice
    assert {twice(dtype)(dtype(1.5)) for dtype in (np.float32, np.float64)} == {3.0}
    assert len(list((tmp_path / "cache").rglob("*.nbi"))) == 2


def test_all_files_that_stand_behind_a_kernel_are_known():
    from anc_core.dsp import adaptive_guard, adaptive_lms_kernel, adaptive_watch

    behind = jit_module._imported(Path(adaptive_lms_kernel.__file__))
    assert {Path(adaptive_guard.__file__), Path(adaptive_watch.__file__)} <= behind
    assert f"-{jit_module._digest_behind(Path(adaptive_watch.__file__))}" in (
        adaptive_watch.judged.py_func.__qualname__
    )
