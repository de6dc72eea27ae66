"""What a proxy spent while something ran: a reading before, a reading after."""

from msgspec import Struct

from bench.load import accounting
from bench.load.accounting import CpuTime
from bench.load.rig import Running, Unavailable


class Spent(Struct, frozen=True):
    """CPU time of one run, by kind of process."""

    traffic: CpuTime = CpuTime()
    control: CpuTime = CpuTime()
    shipper: CpuTime = CpuTime()

    def per(self, count: int) -> dict[str, float]:
        """The fields of a sample, per request or event."""
        return {
            "user_us": self.traffic.user_us / count,
            "system_us": self.traffic.system_us / count,
            "control_us": self.control.total_us / count,
            "shipper_us": self.shipper.total_us / count,
        }


class Meter:
    """Reads the CPU time of a proxy's processes; of no proxy at all it is zero."""

    def __init__(self, running: Running | None) -> None:
        self.name = running.name if running else "direct"
        self.traffic = running.traffic_pids() if running else []
        self.control = running.control_pids() if running else []
        self.shipper = running.shipper_pids() if running else []
        if running and not self.traffic:
            raise Unavailable(f"{self.name} has no process that carries traffic")
        self.first = self.reading()

    def reading(self) -> Spent:
        """What the processes have used so far."""
        return Spent(*map(accounting.cpu_time, (self.traffic, self.control, self.shipper)))

    def restart(self) -> None:
        """Counts from now on."""
        self.first = self.reading()

    def spent(self) -> Spent:
        """What they have used since; raises Unavailable when one of them died."""
        now, first = self.reading(), self.first
        spent = Spent(
            now.traffic - first.traffic, now.control - first.control, now.shipper - first.shipper
        )
        if spent.traffic.total_us < 0:
            raise Unavailable(f"{self.name} lost a process while it was measured")
        return spent
