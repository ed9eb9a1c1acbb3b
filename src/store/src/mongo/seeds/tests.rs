use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::task::TaskTracker;

struct Counting(AtomicU32);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) {
        out.fill(u8::try_from(self.0.fetch_add(1, Ordering::Relaxed) % 251).unwrap());
    }
}

/// What a name server of the tests answers to a question: flags, and the records of each kind.
#[derive(Clone, Default)]
struct Zone {
    /// Target and port of each service.
    services: Vec<(&'static str, u16)>,
    texts: Vec<Vec<&'static str>>,
    code: u8,
    /// Datagrams carry no records, and say so.
    is_cut: bool,
    /// A forged answer comes first: another number, and another host.
    is_raced: bool,
    /// What is sent instead of an answer.
    raw: Option<Vec<u8>>,
}

fn name(text: &str) -> Vec<u8> {
    let labels = text
        .split('.')
        .flat_map(|label| [&[u8::try_from(label.len()).unwrap()][..], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

impl Zone {
    fn answer(&self, question: &[u8], is_datagram: bool) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return [&question[..2], raw].concat();
        }
        let kind = question[question.len() - 3];
        let is_cut = self.is_cut && is_datagram;
        let records: Vec<Vec<u8>> = match kind {
            _ if is_cut => Vec::new(),
            33 => self
                .services
                .iter()
                .map(|(host, port)| [&[0, 0, 0, 0][..], &port.to_be_bytes(), &name(host)].concat())
                .collect(),
            _ => self
                .texts
                .iter()
                .map(|strings| {
                    strings
                        .iter()
                        .flat_map(|text| {
                            [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat()
                        })
                        .collect()
                })
                .collect(),
        };
        let flags = [0x81 | if is_cut { 2 } else { 0 }, 0x80 | self.code];
        let count = u16::try_from(records.len()).unwrap().to_be_bytes();
        let mut bytes =
            [&question[..2], &flags, &[0, 1], &count, &[0; 4], &question[12..]].concat();
        for data in records {
            // The name points at the question's.
            bytes.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60]);
            bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }
}

/// A name server, for as long as the test's runtime lives.
async fn serve(zone: Zone) -> SocketAddr {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    let (zone, tasks) = (Arc::new(zone), TaskTracker::new());
    let over_udp = Arc::clone(&zone);
    tasks.spawn(async move {
        let mut question = [0; 512];
        loop {
            let (length, from) = udp.recv_from(&mut question).await.unwrap();
            let answer = over_udp.answer(&question[..length], true);
            if over_udp.is_raced {
                let mut forged = answer.clone();
                forged[0] = !forged[0];
                udp.send_to(&forged, from).await.unwrap();
                udp.send_to(b"nonsense", from).await.unwrap();
            }
            udp.send_to(&answer, from).await.unwrap();
        }
    });
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut question).await.unwrap();
            let answer = zone.answer(&question, false);
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    address
}

async fn ask(uri: &str, zone: Zone) -> Result<String, Unresolved> {
    let server = serve(zone).await;
    resolved(uri, &[server], &Counting(AtomicU32::new(1))).await
}

fn cluster() -> Zone {
    Zone {
        services: vec![("b.example.org", 27018), ("a.example.org", 27017)],
        texts: vec![vec!["authSource=admin&", "replicaSet=rs0"]],
        ..Zone::default()
    }
}

const URI: &str = "mongodb+srv://ada:pa%40ss@cluster.example.org/claviger";

#[tokio::test]
async fn hosts_and_options_come_from_dns() {
    let whole = "mongodb://ada:pa%40ss@a.example.org:27017,b.example.org:27018/claviger?authSource=admin&replicaSet=rs0&tls=true";
    for zone in
        [cluster(), Zone { is_cut: true, ..cluster() }, Zone { is_raced: true, ..cluster() }]
    {
        assert_eq!(ask(URI, zone).await.unwrap(), whole);
    }
    let alone = Zone { texts: Vec::new(), ..cluster() };
    assert_eq!(
        ask("mongodb+srv://Cluster.Example.org", alone).await.unwrap(),
        "mongodb://a.example.org:27017,b.example.org:27018/?tls=true"
    );
    let own = format!("{URI}?replicaSet=mine&tls=false&srvMaxHosts=1&retryWrites=true");
    assert_eq!(
        ask(&own, cluster()).await.unwrap(),
        "mongodb://ada:pa%40ss@a.example.org:27017/claviger?replicaSet=mine&tls=false&retryWrites=true&authSource=admin"
    );
}

#[tokio::test]
async fn a_name_server_cannot_send_the_credentials_elsewhere() {
    for host in ["a.example.net", "example.org", "aexample.org", "a.example.org.evil.com", "org"] {
        let zone = Zone { services: vec![("a.example.org", 1), (host, 1)], ..cluster() };
        assert_eq!(ask(URI, zone).await, Err(Unresolved::Foreign), "{host}");
    }
    for text in
        ["tls=false", "authSource=a&ssl=false", "authSource", "replicaSet=a,b", "authSource=x/y@z"]
    {
        let zone = Zone { texts: vec![vec![text]], ..cluster() };
        assert_eq!(ask(URI, zone).await, Err(Unresolved::Options), "{text}");
    }
    let two = Zone { texts: vec![vec!["authSource=a"], vec!["replicaSet=b"]], ..cluster() };
    assert_eq!(ask(URI, two).await, Err(Unresolved::Options));
}

#[tokio::test]
async fn what_dns_does_not_answer_is_named() {
    assert_eq!(ask(URI, Zone { code: 3, ..cluster() }).await, Err(Unresolved::Unknown));
    assert_eq!(ask(URI, Zone { code: 2, ..cluster() }).await, Err(Unresolved::Silent));
    assert_eq!(ask(URI, Zone::default()).await, Err(Unresolved::Unknown));
    let nobody = "127.0.0.1:9".parse().unwrap();
    let asked = resolved(URI, &[nobody], &Counting(AtomicU32::new(1))).await;
    assert_eq!(asked, Err(Unresolved::Silent));
    // The second server answers.
    let server = serve(cluster()).await;
    assert!(resolved(URI, &[nobody, server], &Counting(AtomicU32::new(1))).await.is_ok());
}

#[test]
fn no_answer_of_any_bytes_is_believed_or_ends_the_program() {
    let question = message::Question { id: 7, name: "_mongodb._tcp.cluster.example.org", kind: 33 };
    let asked = question.bytes().unwrap();
    let good = cluster().answer(&asked, true);
    assert!(
        matches!(question.answered(&good), Some(message::Answer::Found(hosts)) if hosts.len() == 2)
    );
    for cut in 0..good.len() {
        let found = question.answered(&good[..cut]);
        assert!(!matches!(found, Some(message::Answer::Found(_))), "cut at {cut}");
    }
    for at in 0..good.len() {
        for byte in [0, 1, 63, 64, 191, 192, 255] {
            let mut bent = good.clone();
            bent[at] = byte;
            drop(question.answered(&bent));
        }
    }
    // A name that points at itself.
    let mut looped = good.clone();
    let at = asked.len();
    looped[at..at + 2].copy_from_slice(&[0xc0, u8::try_from(at).unwrap()]);
    assert_eq!(question.answered(&looped), None);
}

#[tokio::test]
async fn malformed_addresses_are_refused_before_anybody_is_asked() {
    for bad in [
        "mongodb+srv://",
        "mongodb+srv://cluster",
        "mongodb+srv://a.example.org:27017",
        "mongodb+srv://a.example.org,b.example.org",
        "mongodb+srv://a..org/",
        "mongodb+srv://a.example.org/?srvMaxHosts=x",
        "mongodb+srv://a.example.org/?srvServiceName=a.b",
        "mongodb+srv://a.example.org/?novalue",
    ] {
        let nobody = "127.0.0.1:9".parse().unwrap();
        let asked = resolved(bad, &[nobody], &Counting(AtomicU32::new(1))).await;
        assert_eq!(asked, Err(Unresolved::Address), "{bad}");
    }
}
