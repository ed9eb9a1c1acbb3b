//! Compresses the files of the explorer's page. They are a twentieth of the program otherwise, and
//! browsers receive them compressed.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const PAGES: &str = "src/http/graphql/graphiql";
const FILES: [&str; 3] = ["page.html", "page.js", "page.css"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return Err(io::Error::other("cargo sets OUT_DIR"));
    };
    for name in FILES {
        let source = Path::new(PAGES).join(name);
        println!("cargo::rerun-if-changed={}", source.display());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&fs::read(&source)?)?;
        fs::write(out.join(format!("{name}.gz")), gzip.finish()?)?;
    }
    Ok(())
}
