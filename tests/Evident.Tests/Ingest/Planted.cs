using System.Text;
using Evident.Ingest;

namespace Evident.Tests.Ingest;

/// <summary>
/// Secrets that exist nowhere, put together at run time from templates, so that no scanner of source code takes them for leaked ones. <c>{A36}</c> is 36 letters and digits, <c>{a}</c> small ones, <c>{U}</c> capitals,
/// <c>{H}</c> small hex, <c>{D}</c> digits, <c>{K}</c> letters, digits, _ and -; the same template gives the same secret.
/// </summary>
internal static class Planted
{
    /// <summary>One or more shapes for every rule that is a pattern, by rule.</summary>
    internal static readonly (string Rule, string Template)[] Shapes =
    [
        ("aws_access_key", "AKIA{U16}"), ("aws_access_key", "ASIA{U16}"), ("aws_session_token", "IQoJb3JpZ2lu{A120}"), ("aws_session_token", "FwoGZXIvYXdz{A80}=="), ("aws_bedrock_key", "ABSKQmVkcm9ja0FQSUtleS{A60}="),
        ("gcp_api_key", "AIza{K35}"), ("gcp_oauth", "ya29.{K60}"), ("gcp_oauth", "1//0{K60}"), ("gcp_oauth", "GOCSPX-{K28}"), ("azure_client_secret", "{A3}8Q~{A34}"), ("digitalocean_token", "dop_v1_{H64}"),
        ("alibaba_access_key", "LTAI{A20}"), ("tencent_secret_id", "AKID{A32}"), ("yandex_token", "AQVN{K36}"), ("yandex_token", "t1.{K30}.{K86}"), ("heroku_key", "HRKU-{A36}"), ("flyio_token", "fm2_lJPECAAA{A60}"),
        ("netlify_token", "nfp_{A36}"), ("planetscale_token", "pscale_tkn_{A43}"), ("planetscale_token", "pscale_pw_{A43}"), ("supabase_token", "sbp_{H40}"), ("supabase_token", "sb_secret_{A31}"),
        ("github_token", "ghp_{A36}"), ("github_token", "gho_{A36}"), ("github_token", "ghs_{A36}"), ("github_token", "github_pat_{A22}_{A59}"), ("gitlab_token", "glpat-{K20}"), ("gitlab_token", "glrt-{K20}"), ("gitlab_token", "gldt-{K20}"),
        ("bitbucket_token", "ATBB{A32}"), ("atlassian_token", "ATATT3xFfGF0{A170}"), ("npm_token", "npm_{A36}"), ("pypi_token", "pypi-AgEIcHlwaS5vcmc{K120}"), ("rubygems_key", "rubygems_{H48}"), ("nuget_key", "oy2{a43}"),
        ("cratesio_token", "cio{A32}"), ("docker_token", "dckr_pat_{K27}"), ("jfrog_token", "AKCp{A69}"), ("terraform_token", "{A14}.atlasv1.{A67}"), ("pulumi_token", "pul-{H40}"),
        ("openai_key", "sk-proj-{K48}"), ("openai_key", "sk-{A48}"), ("openai_key", "sk-svcacct-{K40}"), ("anthropic_key", "sk-ant-api03-{K93}"), ("langfuse_key", "sk-lf-{H8}-{H4}-{H4}-{H4}-{H12}"), ("huggingface_token", "hf_{A34}"),
        ("groq_key", "gsk_{A52}"), ("xai_key", "xai-{A80}"), ("perplexity_key", "pplx-{A48}"), ("replicate_token", "r8_{A37}"), ("tavily_key", "tvly-{A32}"), ("langsmith_key", "lsv2_pt_{H32}_{H10}"), ("pinecone_key", "pcsk_{A60}"),
        ("databricks_token", "dapi{H32}"), ("databricks_token", "dose{H32}"), ("firecrawl_key", "fc-{H32}"),
        ("slack_token", "xoxb-{D12}-{D13}-{A24}"), ("slack_token", "xoxp-{D12}-{D12}-{D12}-{H32}"), ("slack_token", "xapp-1-A{D9}-{D13}-{H64}"), ("slack_token", "xoxe.xoxb-1-{A80}"), ("slack_webhook", "https://hooks.slack.com/services/T{U8}/B{U8}/{A24}"),
        ("discord_token", "M{A23}.G{A5}.{K38}"), ("discord_webhook", "https://discord.com/api/webhooks/{D18}/{K68}"), ("teams_webhook", "https://x.webhook.office.com/webhookb2/{H8}-{H4}-{H4}-{H4}-{H12}@{H8}-{H4}-{H4}-{H4}-{H12}/IncomingWebhook/{H32}"),
        ("telegram_bot_token", "5{D9}:AA{K33}"), ("twilio_key", "SK{H32}"), ("twilio_token", "AC{H32}:{H32}"), ("sendgrid_key", "SG.{K22}.{K43}"), ("mailgun_key", "key-{H32}"), ("mailgun_key", "{H32}-{H8}-{H8}"),
        ("mailchimp_key", "{H32}-us14"), ("brevo_key", "xkeysib-{H64}-{A16}"), ("resend_key", "re_{A8}_{A24}"),
        ("stripe_key", "sk_live_{A24}"), ("stripe_key", "rk_test_{A24}"), ("stripe_key", "whsec_{A32}"), ("square_token", "EAAAE{K60}"), ("square_token", "sq0atp-{K22}"), ("shopify_token", "shpat_{H32}"), ("shopify_token", "shpss_{H32}"),
        ("paypal_token", "access_token$production${a16}${H32}"), ("plaid_token", "access-production-{H8}-{H4}-{H4}-{H4}-{H12}"), ("razorpay_key", "rzp_live_{A14}"), ("flutterwave_key", "FLWSECK-{H32}-X"),
        ("notion_token", "ntn_{A46}"), ("notion_token", "secret_{A43}"), ("linear_key", "lin_api_{A40}"), ("airtable_token", "pat{A14}.{H64}"), ("figma_token", "figd_{K40}"),
        ("hubspot_token", "pat-na1-{H8}-{H4}-{H4}-{H4}-{H12}"), ("salesforce_token", "00D{A15}!{A80}"), ("typeform_token", "tfp_{A59}"), ("dropbox_token", "sl.{K130}"),
        ("okta_token", "SSWS 00{K40}"), ("doppler_token", "dp.pt.{A43}"), ("vault_token", "hvs.{K90}"), ("vault_token", "s.{A24}"), ("onepassword_token", "ops_eyJ{A200}"), ("onepassword_token", "A3-{U6}-{U6}-{U5}-{U5}-{U5}-{U5}"),
        ("age_key", "AGE-SECRET-KEY-1{U58}"), ("postman_key", "PMAK-{H24}-{H34}"), ("contentful_token", "CFPAT-{K43}"),
        ("grafana_token", "glsa_{A32}_{H8}"), ("grafana_token", "glc_eyJvIjoi{A80}"), ("newrelic_key", "NRAK-{U27}"), ("sentry_token", "sntrys_eyJ{A120}"), ("sentry_token", "sntryu_{H64}"), ("dynatrace_token", "dt0c01.{U24}.{U64}"),
        ("honeycomb_key", "hcaik_{a60}"), ("sonar_token", "squ_{H40}"), ("launchdarkly_key", "sdk-{H8}-{H4}-{H4}-{H4}-{H12}"), ("facebook_token", "EAAB{A120}"), ("twitter_token", "AAAAAAAAAAAAAAAAAAAAA{a4}{A60}"),
        ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{A24}.{K43}"), ("jwt", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ{A24}."), ("jwe", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..{K16}.{K40}.{K22}"),
    ];

    /// <summary>Sentences, lines and documents that a secret may stand in, at <c>{}</c>.</summary>
    internal static readonly string[] Contexts =
    [
        "{}", "please use {} for the next call", "curl -H 'X-Custom: {}' https://api.example.com/v1/items", "{\"note\":\"{}\",\"n\":3}", "2026-05-06T06:00:08Z INFO worker-3 started with {} in 12 ms", "config.value={}\nnext line",
        "<{}>", "the log says \"{}\", which is odd", "(see {})", "a\n{}\nb", "https://api.example.com/cb?state={}&page=2", "['{}', 'x']", "x={};y=2", "`{}`", "{\"args\":\"{\\\"text\\\":\\\"{}\\\"}\"}",
    ];

    internal static string Make(string template, int seed = 0)
    {
        var random = new Random(template.Aggregate(17 + seed, (hash, c) => unchecked(hash * 31 + c)));
        var text = new StringBuilder();
        for (int i = 0; i < template.Length; i++)
        {
            if (template[i] != '{')
            {
                text.Append(template[i]);
                continue;
            }
            int close = template.IndexOf('}', i);
            int count = int.Parse(template.AsSpan(i + 2, close - i - 2), System.Globalization.CultureInfo.InvariantCulture);
            string alphabet = template[i + 1] switch
            {
                'A' => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                'a' => "abcdefghijklmnopqrstuvwxyz0123456789",
                'U' => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
                'H' => "0123456789abcdef",
                'D' => "0123456789",
                'K' => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
                var other => throw new ArgumentException($"no alphabet '{other}'"),
            };
            for (int k = 0; k < count; k++)
            {
                char c = alphabet[random.Next(alphabet.Length)];
                // The ends of a part are no joints, and one place is a digit, as in real ones.
                if (c is '_' or '-' && (k == 0 || k == count - 1)) c = 'q';
                text.Append(k == count / 2 && template[i + 1] is 'A' or 'K' or 'a' ? '7' : c);
            }
            i = close;
        }
        return text.ToString();
    }

    internal static string In(string context, string secret) => context.Replace("{}", secret, StringComparison.Ordinal);

    /// <summary>One secret per rule, for tests that plant canaries: those that are patterns, and what code finds without being asked for.</summary>
    internal static IEnumerable<(string Rule, string Secret)> OnePerRule()
    {
        foreach (var group in Shapes.GroupBy(s => s.Rule)) yield return (group.Key, Make(group.First().Template, seed: 7));
        yield return ("email", "canary.quiet@" + "planted.example.org");
        yield return ("phone", "+49 30 " + "90182099");
        yield return ("card", "4556 7375 " + "8689 9855");
        yield return ("iban", "DE89 3704 0044 " + "0532 0130 00");
        yield return ("private_key", "-----BEGIN " + "OPENSSH PRIVATE KEY-----\n" + Make("{A64}") + "\n-----END OPENSSH PRIVATE KEY-----");
        yield return ("named_secret", "password=" + Make("{A30}"));
        yield return ("authorization_header", "Authorization: Digest username=canary, response=" + Make("{H32}"));
        yield return ("bearer_token", "Bearer " + Make("{A41}"));
        yield return ("basic_credentials", "Basic " + Convert.ToBase64String(Encoding.ASCII.GetBytes("canary:" + Make("{A21}"))));
        yield return ("cookie_header", "Cookie: theme=dark; sid=" + Make("{A31}"));
        yield return ("aws_secret_key", "AKIA" + Make("{U16}") + " " + Make("{A40}", 3));
        yield return ("url_credentials", "postgres://canary:" + Make("{A20}") + "@db.internal/x");
    }
}
