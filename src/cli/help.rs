//! What `--help` shows after the options of a command.

pub(super) const EXAMPLES: &str = "\
Examples:
  claviger demo                        a tour on a throw-away store: users, keys, tests, runs
  claviger serve                       serve http://127.0.0.1:8005 on ./claviger-data
  claviger user add ada --email ada@example.org --password-stdin < password
  claviger key add --user ada --name work < key.txt
  claviger run start --help            start an orchestration and watch it
  claviger verify                      compare everything with the log

While `claviger serve` runs, the commands on its store go to it through claviger.sock in the data
directory, and use its settings.

`claviger COMMAND --help` lists the settings that a command reads. Each is a flag, a variable or a
line of claviger.toml, the first of these wins: --data-dir, CLAVIGER_DATA_DIR, data_dir.

Exit codes: 0 done, 1 verify or replay found differences, 2 wrong usage, 3 the run was cancelled,
130 interrupted, 10 and above: one per error code (ops/docs/errors).";

pub(super) const SERVE: &str = "\
Each setting is a flag, a variable or a line of claviger.toml: --data-dir, CLAVIGER_DATA_DIR,
data_dir. The first of these wins.
Variables only: CLAVIGER_MASTER_KEYS, CLAVIGER_TOKEN_KEY, ANTHROPIC_API_KEY, CLAUDE_API_KEY,
CLAUDE_CODE_OAUTH_TOKEN. All of them are in ops/docs/CONFIGURATION.md.

Examples:
  claviger serve
  claviger serve --listen 127.0.0.1:0 --data-dir /var/lib/claviger --registration closed
  CLAVIGER_MONGODB_URI=mongodb://db.example.org/claviger CLAVIGER_MASTER_KEYS=$KEY \\
    CLAVIGER_TOKEN_KEY=$TOKEN claviger serve";

pub(super) const DEMO: &str = "\
The other settings of `claviger serve` apply too, except those of the store, of keys and prices, of
registration and of Anthropic's address: the demo has its own.

Examples:
  claviger demo                        the tour, then serve until Ctrl-C
  claviger demo --exit --listen 127.0.0.1:0";

pub(super) const SIMULATE: &str = "\
Examples:
  claviger simulate                    and: claviger serve --anthropic-base-url http://127.0.0.1:8006
  claviger simulate --keys             a key for each way in which Anthropic can answer";

pub(super) const USER_ADD: &str = "\
Examples:
  claviger user add ada --email ada@example.org --role admin --password-stdin < password
  claviger user add grace --email grace@example.org      prints a token that sets a password";

pub(super) const USER: &str = "\
Examples:
  claviger user list --state deactivated
  claviger user show ada@example.org --json
  claviger user deactivate ada         after a stolen sign-in; then, in this order:
  claviger user password ada           the old password is void from here on
  claviger user reactivate ada         the token of the line before sets a new one
  claviger user role grace --grant admin
  claviger user sessions ada --end-all
  claviger user rename ada --email ada.king@example.org

While a server runs it does the work, with its own settings. The last active administrator can be
neither deactivated nor lose the role (exit code 14).";

pub(super) const KEY: &str = "\
Examples:
  claviger key add --user ada --name work < key.txt
  claviger key test --user ada work --level authentic
  claviger key default --user ada work --context 'night jobs'
  claviger key list --user ada --json

`key test` ends with exit code 20 unless the key works. While a server runs it does the work, with
its own settings; other ones are refused.";

pub(super) const VERIFY: &str = "\
On the embedded store, stop the server first, or give --live: then the server reads its own store, as
it is at this moment. Exit code 1 means that something differs.

Examples:
  claviger verify
  claviger verify --live               beside a running server
  claviger verify --data-dir /restored/claviger --json";

pub(super) const REPLAY: &str = "\
Servers run on.

Examples:
  claviger replay --all --check        compare every view with the log; exit code 1 if rows differ
  claviger replay keys                 repair one view";

pub(super) const VAULT: &str = "\
Examples:
  claviger vault status
  claviger vault rotate                see its --help";

pub(super) const ROTATE: &str = "\
Examples:
  claviger vault rotate                embedded store: a running server does it, and runs on
  CLAVIGER_MASTER_KEYS=$NEW,$OLD CLAVIGER_TOKEN_KEY=$TOKEN \\
    claviger vault rotate --mongodb-uri mongodb://db.example.org/claviger

If you give the master keys yourself, by CLAVIGER_MASTER_KEYS or a file of your own:
  1. Add the new key (`openssl rand -base64 32`) to the list of every process, behind the old one,
     and restart them.
  2. Run `claviger vault rotate` with the new key first in its list. On MongoDB the servers run on.
  3. When it has ended, remove the old key from every list, and restart them. Destroy it once no
     backup needs it.
On the embedded store a new key is added to master.key in the data directory. A server that runs
there rotates with its own list, not with the command's.
Ctrl-C ends it after the current batch. What it has done stays, and the next run continues.";

pub(super) const SCHEMA: &str = "\
Example:
  claviger schema > graphql/schema.graphql";
