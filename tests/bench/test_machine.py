from pathlib import Path

from bench import machine

MOUNTS = """/dev/sda / ext4 rw 0 0
tmpfs /home tmpfs rw 0 0
/dev/sdb /home/ann xfs rw 0 0
"""


def test_the_file_system_of_a_folder_is_that_of_the_deepest_mount_above_it() -> None:
    for folder, kind in (("/srv", "ext4"), ("/home/bob", "tmpfs"), ("/home/ann/tree", "xfs")):
        assert machine.file_system(Path(folder), MOUNTS) == kind
    assert machine.file_system(Path("/home/annabel"), MOUNTS) == "tmpfs"


def test_versions_name_a_program_once_whatever_its_variants() -> None:
    found = machine.versions(("gateway", "gateway-unrecorded"))
    assert "gateway" in found
    assert "gateway-unrecorded" not in found


def test_this_machine_has_a_disk() -> None:
    assert machine.describe().disk not in {"", "unknown"}
