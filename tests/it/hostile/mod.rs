//! The real server as the internet treats it: what scanners try, and floods on the socket. While
//! one client misbehaves the others are answered, and the server's memory stays where it was.

mod floods;
mod metrics;
mod scan;
mod target;
