//! How the instances of fleets get their proxies' certificates, from the flags of `fleetmesh operator` and `fleetmesh standalone`.

use std::path::PathBuf;

use clap::Args;
use fleetmesh_core::fleet::JoinOptions;
use fleetmesh_instance::user_data::{UserDataError, authority, check_join};

/// How the proxies of launched instances find the control plane.
#[derive(Args, Clone, Debug)]
pub struct FleetProxyArgs {
    /// Where the proxies of launched instances find the control plane: https://HOST:PORT with --proxy-join-image, else
    /// HOST:PORT or unix:///PATH on the instance; AWS's image goes to AWS's App Mesh without it
    #[arg(long, env = "FLEETMESH_PROXY_CONTROL_PLANE", value_name = "ADDRESS")]
    pub proxy_control_plane: Option<String>,

    /// Let launched instances get their proxies' certificates by their IAM roles: the image that does it there (`fleetmesh
    /// proxy join`), as registry/image:tag. A change of it, as of the two below, replaces the instances of fleets
    #[arg(
        long,
        env = "FLEETMESH_PROXY_JOIN_IMAGE",
        value_name = "IMAGE",
        requires_all = ["proxy_control_plane", "proxy_join_control_plane"]
    )]
    pub proxy_join_image: Option<String>,

    /// Where they ask for certificates, at a control plane that lets instances join (its --join-listen): https://HOST:PORT
    #[arg(
        long,
        env = "FLEETMESH_PROXY_JOIN_CONTROL_PLANE",
        value_name = "URL",
        requires = "proxy_join_image"
    )]
    pub proxy_join_control_plane: Option<String>,

    /// The CA that vouches for that address (PEM, certificates alone), in place of those that the image trusts; it goes
    /// into the user data as it is when the operator starts
    #[arg(long, env = "FLEETMESH_PROXY_JOIN_CA_FILE", value_name = "FILE", requires = "proxy_join_image")]
    pub proxy_join_ca_file: Option<PathBuf>,
}

/// The reasons that instances could not join with these flags, one line each.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The CA's file cannot be read.
    #[error("cannot read {path} (--proxy-join-ca-file): {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The CA's file is none.
    #[error("cannot use {path} (--proxy-join-ca-file): {reason}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A value of a flag.
    #[error("{flag} is {found}: {demand}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// Its value.
        found: String,
        /// What it takes.
        demand: String,
    },
    /// Anything else.
    #[error(transparent)]
    Other(UserDataError),
}

impl FleetProxyArgs {
    /// What the flags say of joining; nothing when instances do not join. Reads the file of `--proxy-join-ca-file`.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn options(&self) -> Result<Option<JoinOptions>, JoinError> {
        let authority = self.proxy_join_ca_file.as_ref().map(|path| {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|source| JoinError::Read { path: path.clone(), source })?;
            authority(&text).map_err(|reason| JoinError::Authority { path: path.clone(), reason })
        });
        let join = match (&self.proxy_join_image, &self.proxy_join_control_plane) {
            (Some(image), Some(control_plane)) => Some(JoinOptions {
                image: image.clone(),
                control_plane: control_plane.clone(),
                authority: authority.transpose()?,
            }),
            _ => None,
        };
        check_join(self.proxy_control_plane.as_deref(), join.as_ref()).map_err(by_flag)?;
        Ok(join)
    }
}

/// The same with the flag in place of the field.
fn by_flag(error: UserDataError) -> JoinError {
    let UserDataError::Invalid { field, found, demand } = error else { return JoinError::Other(error) };
    let flag = match field.as_str() {
        "join.image" => "--proxy-join-image",
        "join.controlPlane" => "--proxy-join-control-plane",
        "join.authority" => "--proxy-join-ca-file",
        _ => "--proxy-control-plane",
    };
    JoinError::Flag {
        flag,
        found,
        demand: demand.replace("join is not set", "--proxy-join-image is not set"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: FleetProxyArgs,
    }

    fn parse(line: &str) -> Result<FleetProxyArgs, String> {
        let words = ["operator"].into_iter().chain(line.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    const ALL: &str = "--proxy-control-plane https://mesh.example:18000 --proxy-join-image r.example/proxy:v1 \
                       --proxy-join-control-plane https://mesh.example:9080";

    #[test]
    fn all_flags_or_none_are_given() {
        for line in ["", "--proxy-control-plane unix:///run/fleetmesh/ads.sock"] {
            assert_eq!(parse(line).expect(line).options().expect(line), None);
        }
        let join = parse(ALL).expect("all").options().expect("all").expect("it joins");
        assert_eq!((join.image.as_str(), join.authority), ("r.example/proxy:v1", None));
        let words: Vec<&str> = ALL.split_whitespace().collect();
        for missing in [0, 2, 4] {
            let line = [&words[..missing], &words[missing + 2..]].concat().join(" ");
            let refusal = parse(&line).expect_err(&line);
            assert!(refusal.contains(words[missing]), "{line}: {refusal}");
        }
        assert!(parse("--proxy-join-ca-file x").expect_err("alone").contains("--proxy-join-image"));
    }

    #[test]
    fn what_instances_could_not_join_by_is_refused_in_a_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
            .expect("written");
        let with = |from: &str, to: &str| ALL.replace(from, to);
        let cases = [
            (
                "--proxy-control-plane https://mesh.example:1".to_owned(),
                "--proxy-control-plane is \"https://mesh.example:1\": an instance has no certificate for https:// unless it joins, and --proxy-join-image is not set",
            ),
            (
                with("https://mesh.example:18000", "mesh.example:18000"),
                "--proxy-control-plane is \"mesh.example:18000\": whoever joins is served over TLS",
            ),
            (
                with("https://mesh.example:9080", "http://mesh.example:9080"),
                "--proxy-join-control-plane is \"http://mesh.example:9080\": an instance proves itself over TLS only",
            ),
            (
                with("r.example/proxy:v1", "a;b"),
                "--proxy-join-image is \"a;b\": an image is written registry/image:tag",
            ),
            (
                format!("{ALL} --proxy-join-ca-file /nonexistent"),
                "cannot read /nonexistent (--proxy-join-ca-file): ",
            ),
            (
                format!("{ALL} --proxy-join-ca-file {}", file.path().display()),
                "(--proxy-join-ca-file): it holds something that is no certificate",
            ),
        ];
        for (line, expected) in cases {
            let error = parse(&line).expect(&line).options().expect_err(&line).to_string();
            assert!(error.contains(expected) && !error.contains('\n') && !error.contains("AAAA"), "{error}");
        }
    }
}
