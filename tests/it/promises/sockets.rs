//! Memory of sockets and streams, hosts, and stream tickets.
