//! One server per test process, one database per test.

use claviger_store::address::MongoUri;
use mongodb::bson::doc;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::OnceCell;

/// A server that tests may use.
pub(crate) struct TestServer {
    /// Scheme and hosts.
    hosts: String,
    /// Options, without the question mark.
    options: String,
    /// Its standard input: closed when this process ends, however it ends, and the server ends with
    /// it.
    _keeper: Option<Child>,
    databases: AtomicU64,
}

static SERVER: OnceCell<Option<TestServer>> = OnceCell::const_new();

/// The server, if there can be one.
pub(crate) async fn server() -> Option<&'static TestServer> {
    let found = SERVER.get_or_init(find).await.as_ref();
    if found.is_none() {
        let required =
            std::env::var_os("CLAVIGER_REQUIRE_MONGODB").is_some_and(|value| value == "1");
        assert!(
            !required,
            "CLAVIGER_REQUIRE_MONGODB=1, and there is no MongoDB: set CLAVIGER_TEST_MONGODB_URI"
        );
        eprintln!(
            "\n*** SKIPPED: no MongoDB. Set CLAVIGER_TEST_MONGODB_URI, install mongod, or see what ops/test-mongodb says. ***\n"
        );
    }
    found
}

impl TestServer {
    /// A database that no other test has.
    pub(crate) fn database(&self) -> String {
        let n = self.databases.fetch_add(1, Ordering::Relaxed);
        format!("claviger_test_{}_{n}", std::process::id())
    }

    /// The address of a database.
    pub(crate) fn uri(&self, database: &str) -> MongoUri {
        self.uri_text(database).parse().unwrap()
    }

    /// Removes a database that a test is done with.
    pub(crate) async fn remove(&self, database: &str) {
        let client = mongodb::Client::with_uri_str(self.uri_text(database)).await.unwrap();
        client.database(database).drop().await.unwrap();
    }

    pub(crate) fn uri_text(&self, database: &str) -> String {
        format!("{}/{database}?{}", self.hosts, self.options)
    }

    /// Scheme and credentials; the first host with its port.
    fn parts(&self) -> (&str, &str) {
        let at = self.hosts.rfind('@').or_else(|| self.hosts.rfind('/')).unwrap() + 1;
        let (head, hosts) = self.hosts.split_at(at);
        (head, hosts.split(',').next().unwrap())
    }

    /// The first host with its port.
    pub(crate) fn host(&self) -> String {
        self.parts().1.to_owned()
    }

    /// The address of a database through a proxy: the driver may connect to no other host.
    pub(crate) fn uri_by(&self, proxy: &str, database: &str) -> String {
        let options: Vec<_> =
            self.options.split('&').filter(|option| !option.starts_with("replicaSet=")).collect();
        format!("{}{proxy}/{database}?{}&directConnection=true", self.parts().0, options.join("&"))
    }
}

async fn find() -> Option<TestServer> {
    if let Some(uri) = std::env::var_os("CLAVIGER_TEST_MONGODB_URI") {
        return Some(given(uri.to_str().expect("CLAVIGER_TEST_MONGODB_URI is text")));
    }
    if on_path("mongod") {
        return Some(mongod().await);
    }
    secantus()
}

fn given(uri: &str) -> TestServer {
    let (head, options) = uri.split_once('?').unwrap_or((uri, ""));
    let (scheme, rest) =
        head.split_once("://").expect("CLAVIGER_TEST_MONGODB_URI begins with mongodb://");
    let hosts = rest.split_once('/').map_or(rest, |(hosts, _)| hosts);
    TestServer {
        hosts: format!("{scheme}://{hosts}"),
        options: options.to_owned(),
        _keeper: None,
        databases: AtomicU64::new(0),
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn started(program: &Path, arguments: &[&str], port: u16, options: &str) -> TestServer {
    let dir = tempfile::tempdir().unwrap().keep();
    // The shell ends the server and its files when this process is gone, however it went.
    let script = "dir=$1; shift; \"$@\" \"$dir\" > /dev/null 2>&1 & server=$!; cat > /dev/null; kill $server; wait $server; rm -rf \"$dir\"";
    let keeper = Command::new("sh")
        .args(["-c", script, "keeper"])
        .arg(&dir)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    TestServer {
        hosts: format!("mongodb://127.0.0.1:{port}"),
        // It may still be starting: the first client waits.
        options: format!("serverSelectionTimeoutMS=30000&{options}"),
        _keeper: Some(keeper),
        databases: AtomicU64::new(0),
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn mongod() -> TestServer {
    let port = free_port();
    let text = port.to_string();
    let arguments = [
        "--replSet",
        "test",
        "--bind_ip",
        "127.0.0.1",
        "--port",
        &text,
        "--setParameter",
        "enableTestCommands=1",
        "--dbpath",
    ];
    let server = started(Path::new("mongod"), &arguments, port, "replicaSet=test");
    let direct = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
    let admin = mongodb::Client::with_uri_str(direct).await.unwrap().database("admin");
    let member = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
    admin
        .run_command(doc! { "replSetInitiate": { "_id": "test", "members": [member] } })
        .await
        .unwrap();
    server
}

fn secantus_program() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/test-mongodb");
    let made =
        Command::new(script).arg("--path").output().ok().filter(|made| made.status.success())?;
    Some(String::from_utf8(made.stdout).ok()?.trim().into())
}

fn secantus() -> Option<TestServer> {
    let program = secantus_program()?;
    let port = free_port();
    let text = port.to_string();
    let arguments =
        ["--port", &text, "--cache-size", "256M", "--enable-test-commands", "--storage-path"];
    Some(started(&program, &arguments, port, "replicaSet=secantus"))
}

/// A server of one test, which may kill it.
pub(crate) struct OwnServer {
    program: PathBuf,
    port: u16,
    dir: tempfile::TempDir,
    process: Child,
}

impl OwnServer {
    /// Starts one, where SecantusDB can be had.
    pub(crate) fn start() -> Option<Self> {
        let (program, port, dir) = (secantus_program()?, free_port(), tempfile::tempdir().unwrap());
        let process = Self::run(&program, port, dir.path());
        Some(Self { program, port, dir, process })
    }

    fn run(program: &Path, port: u16, dir: &Path) -> Child {
        let port = port.to_string();
        let arguments = [
            "--port",
            &port,
            "--cache-size",
            "128M",
            "--sync-on-commit",
            "--enable-test-commands",
            "--storage-path",
        ];
        Command::new(program)
            .args(arguments)
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Kills it and starts it again on what is on disk.
    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = Self::run(&self.program, self.port, self.dir.path());
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn uri(&self) -> MongoUri {
        self.uri_text().parse().unwrap()
    }

    pub(crate) fn uri_text(&self) -> String {
        format!(
            "mongodb://127.0.0.1:{}/claviger?replicaSet=secantus&serverSelectionTimeoutMS=20000",
            self.port
        )
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
