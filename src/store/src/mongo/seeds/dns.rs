//! Asks name servers: over datagrams, and over a stream what is too long for them.

use super::message::{Answer, Question, Record, SRV, TXT};
use super::{MOST_HOSTS, Unresolved};
use claviger_vault::Entropy;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one server may take for one question.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often all servers are asked.
const ROUNDS: usize = 2;

/// Most servers, as the system's own resolver has it.
const MOST_SERVERS: usize = 3;

const PORT: u16 = 53;

pub(super) struct Dns<'a> {
    servers: Vec<SocketAddr>,
    entropy: &'a dyn Entropy,
}

impl<'a> Dns<'a> {
    /// Asks these servers, or the machine's.
    pub(super) fn new(servers: &[SocketAddr], entropy: &'a dyn Entropy) -> Self {
        let servers = if servers.is_empty() {
            of_system(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
        } else {
            servers.to_vec()
        };
        Self { servers, entropy }
    }

    /// The hosts of a service, in the order of their names.
    pub(super) async fn services(&self, name: &str) -> Result<Vec<(String, u16)>, Unresolved> {
        let found = self.ask(name, SRV).await?.into_iter();
        let mut hosts: Vec<_> = found
            .filter_map(|record| match record {
                Record::Service(host, port) => Some((host, port)),
                Record::Text(_) => None,
            })
            .collect();
        hosts.sort();
        hosts.dedup();
        if hosts.is_empty() || hosts.len() > MOST_HOSTS {
            return Err(Unresolved::Garbled);
        }
        Ok(hosts)
    }

    /// The texts of a name.
    pub(super) async fn texts(&self, name: &str) -> Result<Vec<String>, Unresolved> {
        let found = self.ask(name, TXT).await?.into_iter();
        Ok(found
            .filter_map(|record| match record {
                Record::Text(text) => Some(text),
                Record::Service(..) => None,
            })
            .collect())
    }

    async fn ask(&self, name: &str, kind: u16) -> Result<Vec<Record>, Unresolved> {
        let mut last = Unresolved::Silent;
        for _ in 0..ROUNDS {
            for server in self.servers.iter().take(MOST_SERVERS) {
                // A number that nobody can guess: an answer that does not repeat it isn't ours.
                let mut id = [0; 2];
                self.entropy.fill(&mut id);
                let question = Question { id: u16::from_be_bytes(id), name, kind };
                match timeout(PATIENCE, ask(*server, &question)).await {
                    Ok(Ok(Answer::Found(records))) => return Ok(records),
                    Ok(Ok(Answer::Nothing)) => return Err(Unresolved::Unknown),
                    Ok(Ok(Answer::Cut)) => last = Unresolved::Garbled,
                    Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                        last = Unresolved::Garbled;
                    }
                    Ok(Ok(Answer::Refused) | Err(_)) | Err(_) => {}
                }
            }
        }
        Err(last)
    }
}

async fn ask(server: SocketAddr, question: &Question<'_>) -> io::Result<Answer> {
    let garbled = || io::Error::from(io::ErrorKind::InvalidData);
    let bytes = question.bytes().ok_or_else(garbled)?;
    let own = if server.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(own).await?;
    // Connected: the system drops what comes from elsewhere.
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut message = vec![0; 4096];
    loop {
        let length = socket.recv(&mut message).await?;
        // What isn't an answer to this question is passed over until the time is up: it may be
        // forged, and the right one still comes.
        match question.answered(message.get(..length).unwrap_or_default()) {
            None => {}
            Some(Answer::Cut) => break,
            Some(answer) => return Ok(answer),
        }
    }
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(|_| garbled())?;
    stream.write_all(&[&length.to_be_bytes()[..], &bytes].concat()).await?;
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    question.answered(&message).ok_or_else(garbled)
}

/// The servers of `/etc/resolv.conf`, or the one of this machine.
fn of_system(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, PORT))
    });
    let servers: Vec<_> = named.collect();
    if servers.is_empty() { vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))] } else { servers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_servers_are_read_and_there_is_always_one() {
        let text = "# a comment\nsearch example.org\nnameserver 10.0.0.2\nnameserver fd00::1\nnameserver fe80::1%eth0\n";
        let servers: Vec<_> = of_system(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.2:53", "[fd00::1]:53"]);
        assert_eq!(of_system("nameserver x")[0].to_string(), "127.0.0.1:53");
    }
}
