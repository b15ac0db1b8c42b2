"""Limits of containers, in trees as the kernel shows them."""

from pathlib import Path

import pytest

from darknet_kit.core.cgroup import find_cgroup

GIB = 1 << 30


def write_tree(root: Path, **files: str) -> Path:
    for path, text in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


DOCKER_2 = {  # docker run --cpus 2.5 --memory 8g, version 2: the group is the root of the mount
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/cpu.max": "250000 100000\n",
    "sys/fs/cgroup/cpu.stat": "usage_usec 7500000\nuser_usec 7000000\nnr_periods 400\n"
    "nr_throttled 100\nthrottled_usec 1234\n",
    "sys/fs/cgroup/memory.max": f"{8 * GIB}\n",
    "sys/fs/cgroup/memory.current": f"{5 * GIB}\n",
    "sys/fs/cgroup/memory.stat": f"anon 1\nfile 2\ninactive_file {2 * GIB}\n",
}
DOCKER_1 = {  # the same of version 1: the path is the host's, the mount the group itself
    "proc/self/cgroup": "4:memory:/docker/0123\n3:cpu,cpuacct:/docker/0123\n0::/docker/0123\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/cpu/cpu.stat": "nr_periods 400\nnr_throttled 100\nthrottled_time 9\n",
    "sys/fs/cgroup/cpuacct/cpuacct.usage": "7500000000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{8 * GIB}\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{5 * GIB}\n",
    "sys/fs/cgroup/memory/memory.stat": f"inactive_file 7\ntotal_inactive_file {2 * GIB}\n",
}


@pytest.mark.parametrize("files", [DOCKER_2, DOCKER_1], ids=["version 2", "version 1"])
def test_limits_of_a_container(tmp_path: Path, files: dict[str, str]) -> None:
    group = find_cgroup(write_tree(tmp_path, **files))
    assert (group.cores, group.memory) == (2.5, 8 * GIB)
    assert group.read_cpu_seconds() == 7.5
    assert group.read_periods() == (400, 100)
    assert group.read_memory() == 3 * GIB


def test_the_tightest_limit_of_a_slurm_step_counts(tmp_path: Path) -> None:
    job = "sys/fs/cgroup/system.slice/slurmstepd.scope/job_7"
    group = find_cgroup(
        write_tree(
            tmp_path,
            **{
                "proc/self/cgroup": "0::/system.slice/slurmstepd.scope/job_7/step_0/user\n",
                f"{job}/memory.max": f"{16 * GIB}\n",
                f"{job}/memory.current": f"{4 * GIB}\n",
                f"{job}/cpu.max": "max 100000\n",
                f"{job}/step_0/user/memory.max": "max\n",
                f"{job}/step_0/user/memory.current": "1\n",
            },
        )
    )
    assert (group.cores, group.memory) == (None, 16 * GIB)
    assert group.read_memory() == 4 * GIB


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "nonsense\n"},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "\n"},
        {
            "proc/self/cgroup": "4:memory:/\n3:cpu:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        {
            "proc/self/cgroup": "0::/../../escape\n",
            "sys/fs/cgroup/cpu.max": "max 100000\n",
            "sys/fs/escape/cpu.max": "1 1\n",
        },
    ],
    ids=["no files", "nonsense", "empty", "no limit", "a path that leads out"],
)
def test_no_limit_where_none_can_be_read(tmp_path: Path, files: dict[str, str]) -> None:
    group = find_cgroup(write_tree(tmp_path, **files))
    assert (group.cores, group.memory) == (None, None)
