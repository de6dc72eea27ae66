"""The timer wheel: placing, moving down, firing. The idea and the rules are in the .pxd."""

cimport cython
from cpython.exc cimport PyErr_SetObject, PyErr_WriteUnraisable
from libc.stdint cimport uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef enum:
    SLOT_MASK = 63                      # SLOTS - 1
    REACH = 16777216                    # SLOTS ** WHEELS: ticks the coarsest wheel covers


cpdef uint64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * <uint64_t>1_000_000_000 + <uint64_t>now.tv_nsec


# Circular lists with a head. Safety: a linked node's neighbours are nodes of living Timed
# objects or heads of a living Wheel, since each unlinks itself, or all of its, when freed.

cdef inline void link_last(Node* head, Node* node) noexcept nogil:
    node.next = head
    node.previous = head.previous
    head.previous.next = node
    head.previous = node

cdef inline void unlink(Node* node) noexcept nogil:
    node.previous.next = node.next
    node.next.previous = node.previous
    node.next = NULL

cdef inline void clear_head(Node* head) noexcept nogil:
    head.next = head
    head.previous = head

cdef inline void release(Node* node) noexcept nogil:
    unlink(node)
    node.armed[0] -= 1
    node.deadline_ns[0] = 0

cdef void move_all(Node* source, Node* target) noexcept nogil:
    # The target was empty.
    if source.next == source:
        return
    target.next = source.next
    target.previous = source.previous
    target.next.previous = target
    target.previous.next = target
    clear_head(source)


cdef class Timed:

    def __cinit__(self):
        # Safety: borrowed pointers to itself, gone with it; the node never outlives it.
        self.node.owner = <void*>self
        self.node.deadline_ns = &self.deadline_ns

    def __dealloc__(self):
        if self.node.next != NULL:
            release(&self.node)

    cdef void on_deadline(self, uint64_t now_ns):
        raise NotImplementedError(f"{type(self).__name__} overrides no on_deadline")


@cython.final
cdef class Alarm(Timed):
    """Calls `callback(now_ns)` when its deadline comes."""

    def __init__(self, callback):
        self.callback = callback

    cdef void on_deadline(self, uint64_t now_ns):
        self.callback(now_ns)

    def arm(self, Wheel wheel not None, uint64_t deadline_ns) -> None:
        wheel.arm(self, deadline_ns)

    def disarm(self, Wheel wheel not None) -> None:
        wheel.disarm(self)


@cython.final
cdef class Wheel:
    """All deadlines of one worker; `now_ns` is the clock it starts from."""

    def __cinit__(self, uint64_t now_ns):
        cdef int slot
        for slot in range(WHEELS * SLOTS):
            clear_head(&self.slots[slot])
        clear_head(&self.due)
        self.now_ns = now_ns
        self.tick = now_ns // <uint64_t>TICK_NS
        self.earliest = self.tick + 1

    def __dealloc__(self):
        cdef int slot
        for slot in range(WHEELS * SLOTS):
            while self.slots[slot].next != &self.slots[slot]:
                release(self.slots[slot].next)

    cdef void arm(self, Timed timed, uint64_t deadline_ns) noexcept:
        cdef Node* node = &timed.node
        if node.next != NULL:
            release(node)
        if deadline_ns == 0:
            return
        timed.deadline_ns = deadline_ns
        node.armed = &self.armed
        self.armed += 1
        self.place(node)

    cdef void disarm(self, Timed timed) noexcept:
        if timed.node.next != NULL:
            release(&timed.node)

    cdef void place(self, Node* node) noexcept nogil:
        # The first tick at or after the deadline; one that is past fires with the next.
        cdef uint64_t deadline_ns = node.deadline_ns[0]
        cdef uint64_t tick = deadline_ns // <uint64_t>TICK_NS
        if tick * <uint64_t>TICK_NS < deadline_ns:
            tick += 1
        if tick < self.earliest:
            tick = self.earliest
        cdef uint64_t ahead = tick - self.tick
        cdef int wheel = 0
        if ahead >= REACH:
            ahead = REACH - 1
            tick = self.tick + ahead
        while ahead >= SLOTS:
            ahead >>= SLOT_BITS
            wheel += 1
        cdef int slot = <int>((tick >> (SLOT_BITS * wheel)) & SLOT_MASK)
        self.occupied[wheel] |= <uint64_t>1 << slot
        link_last(&self.slots[wheel * SLOTS + slot], node)

    cpdef void advance(self, uint64_t now_ns) noexcept:
        """Fire every timer whose deadline is at or before `now_ns`, to a tick."""
        # Safety: a callback may drop the last reference to this wheel but ours.
        cdef Wheel _keep = self
        cdef uint64_t target = now_ns // <uint64_t>TICK_NS
        if self.is_advancing or now_ns < self.now_ns:
            return
        self.now_ns = now_ns
        self.is_advancing = True
        while self.tick < target:
            self.tick = self.next_tick(target)
            self.earliest = self.tick
            self.move_down()
            self.earliest = self.tick + 1
            self.fire_slot()
        self.is_advancing = False

    cdef uint64_t next_tick(self, uint64_t target) noexcept nogil:
        # The next tick at which a slot comes up that may hold something. Cost: a jump of
        # hours over an empty wheel is one step, over a full one at most 64 a wheel.
        cdef uint64_t turn
        cdef int wheel
        for wheel in range(WHEELS):
            if self.occupied[wheel]:
                turn = ((self.tick >> (SLOT_BITS * wheel)) + 1) << (SLOT_BITS * wheel)
                return min(turn, target)
        return target

    cdef void move_down(self) noexcept nogil:
        # Where a coarser slot begins, what waits in it is placed again, nearer.
        cdef Node head
        cdef Node* node
        cdef int wheel, slot
        clear_head(&head)
        for wheel in range(1, WHEELS):
            if self.tick & ((<uint64_t>1 << (SLOT_BITS * wheel)) - 1):
                return
            slot = <int>((self.tick >> (SLOT_BITS * wheel)) & SLOT_MASK)
            self.occupied[wheel] &= ~(<uint64_t>1 << slot)
            move_all(&self.slots[wheel * SLOTS + slot], &head)
            while head.next != &head:
                node = head.next
                unlink(node)
                self.place(node)

    cdef void fire_slot(self) noexcept:
        cdef int slot = <int>(self.tick & SLOT_MASK)
        self.occupied[0] &= ~(<uint64_t>1 << slot)
        move_all(&self.slots[slot], &self.due)
        while self.due.next != &self.due:
            self.fire(self.due.next)

    cdef void fire(self, Node* node) noexcept:
        # Safety: a linked node's owner is alive; the variable keeps it so during the call.
        cdef Timed timed = <Timed>node.owner
        release(node)
        try:
            timed.on_deadline(self.now_ns)
        except BaseException as error:
            self.errors += 1
            PyErr_SetObject(type(error), error)
            PyErr_WriteUnraisable(timed)
