//! Where a service of AWS is. Pure, but for what the configuration has read of the environment.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// The endpoint that was given for the service `service_id` or for every service: `AWS_ENDPOINT_URL_…`, `AWS_ENDPOINT_URL`, or the
/// same of the profile.
pub(crate) fn given(config: &SdkConfig, service_id: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok();
    let of_service = config.service_config().zip(key).and_then(|(given, key)| given.load_config(key));
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Where the service `service_id`, whose hosts begin with `host`, is in `region`: what was [`given`], else AWS's.
pub(crate) fn endpoint(config: &SdkConfig, service_id: &str, host: &str, region: &str) -> String {
    let at_aws = || {
        let (fips, dual_stack) =
            (config.use_fips().unwrap_or(false), config.use_dual_stack().unwrap_or(false));
        format!("https://{}", host_of(host, region, fips, dual_stack))
    };
    let endpoint = given(config, service_id).unwrap_or_else(at_aws);
    format!("{}/", endpoint.trim_end_matches('/'))
}

/// AWS's host of a service in `region`, after the rules that its endpoints have in common.
fn host_of(service: &str, region: &str, fips: bool, dual_stack: bool) -> String {
    let domain = match (region.split('-').next().unwrap_or_default(), dual_stack) {
        ("cn", false) => "amazonaws.com.cn",
        ("cn", true) => "api.amazonwebservices.com.cn",
        ("eusc", false) => "amazonaws.eu",
        ("eusc", true) => "api.amazonwebservices.eu",
        (_, true) => "api.aws",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ if region.starts_with("us-isof-") => "csp.hci.ic.gov",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        _ => "amazonaws.com",
    };
    // In GovCloud every endpoint is validated, and the plain name is the one that exists.
    let is_plain = !fips || (region.starts_with("us-gov-") && !dual_stack);
    let fips = if is_plain { "" } else { "-fips" };
    format!("{service}{fips}.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_hosts() {
        for (region, fips, dual_stack, expected) in [
            ("eu-west-1", false, false, "ssm.eu-west-1.amazonaws.com"),
            ("us-east-1", true, false, "ssm-fips.us-east-1.amazonaws.com"),
            ("us-east-1", false, true, "ssm.us-east-1.api.aws"),
            ("cn-north-1", false, false, "ssm.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", true, false, "ssm.us-gov-west-1.amazonaws.com"),
            ("us-iso-east-1", false, false, "ssm.us-iso-east-1.c2s.ic.gov"),
            ("eusc-de-east-1", false, false, "ssm.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(host_of("ssm", region, fips, dual_stack), expected);
        }
    }

    #[test]
    fn an_endpoint_that_was_given_goes_before_aws_s() {
        let config = SdkConfig::builder().endpoint_url("http://127.0.0.1:5000").build();
        assert_eq!(endpoint(&config, "ACM PCA", "acm-pca", "eu-west-1"), "http://127.0.0.1:5000/");
        let config = SdkConfig::builder().build();
        let at_aws = "https://acm-pca.eu-west-1.amazonaws.com/";
        assert_eq!(endpoint(&config, "ACM PCA", "acm-pca", "eu-west-1"), at_aws);
    }
}
