"""The composition root: builds each process of the gateway from its parts.

    start        the supervisor: reads the configuration once, opens the sockets, makes the
                 board, starts the others
    worker       one worker: the data plane, its end of the link, renewed certificates
    shipper      the shipper: the prediction log, from its files to its sinks
    controller   the controller: admin port, the other end of the link, the file watch

One module a process, so that none loads what only another needs. Only modules of this
package may import every package; nothing but `cli` and `__main__` imports them.
"""
