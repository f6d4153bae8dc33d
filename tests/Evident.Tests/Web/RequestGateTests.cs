using Evident.Web;
using Microsoft.AspNetCore.Http;

namespace Evident.Tests.Web;

/// <summary>Design section 5: loopback is not trust.</summary>
public sealed class RequestGateTests
{
    private static readonly RequestGate Gate = new(["evident.example.org"]);

    [Theory]
    [InlineData("127.0.0.1:4318", null)]
    [InlineData("127.0.0.1", null)]
    [InlineData("[::1]:4318", null)]
    [InlineData("localhost:4318", null)]
    [InlineData("LOCALHOST", null)]
    [InlineData("evident.example.org", null)]
    [InlineData("Evident.Example.org:443", null)]
    [InlineData("10.1.2.3:4318", null)]
    [InlineData("attacker.example", 421)]
    [InlineData("localhost.attacker.example", 421)]
    [InlineData("127.0.0.1.attacker.example", 421)]
    [InlineData("evident.example.org.attacker.example", 421)]
    [InlineData("0x7f.1", 421)]
    [InlineData("2130706433", 421)]
    [InlineData("", 421)]
    public void Host_is_an_address_localhost_or_a_configured_name(string host, int? status) =>
        Assert.Equal(status, Gate.Check(Request("GET", host))?.Status);

    [Theory]
    [InlineData("POST", "/v1/traces", "https://agents.example.org", true)]
    [InlineData("OPTIONS", "/v1/traces", "https://agents.example.org", true)]
    [InlineData("POST", "/", "HTTPS://agents.example.org", true)]
    [InlineData("POST", "/runs/batch", "https://agents.example.org", true)]
    [InlineData("POST", "/v1/traces", "https://agents.example.org.attacker.example", false)]
    [InlineData("POST", "/v1/traces", "http://agents.example.org", false)]
    [InlineData("GET", "/api/v1/runs", "https://agents.example.org", false)]
    [InlineData("GET", "/", "https://agents.example.org", false)]
    [InlineData("POST", "/api/v1/runs", "https://agents.example.org", false)]
    [InlineData("POST", "/api/v1/vault/vr_x/open", "https://agents.example.org", false)]
    public void A_page_of_a_configured_origin_may_send_and_read_nothing(string method, string path, string origin, bool may)
    {
        var gate = new RequestGate([], ["https://agents.example.org"]);
        HttpRequest request = Request(method, "127.0.0.1:4318");
        request.Path = path;
        request.ContentType = "application/json";
        request.Headers.Origin = origin;
        request.Headers["Sec-Fetch-Site"] = "cross-site";
        Assert.Equal(may ? null : 403, gate.Check(request)?.Status);
        Assert.Equal(may, gate.IsAllowedSender(request));
        Assert.Equal(403, Gate.Check(request)?.Status); // without the configuration nobody may
    }

    [Theory]
    [InlineData("http://127.0.0.1:4318", null)]
    [InlineData("HTTP://127.0.0.1:4318", null)]
    [InlineData("http://127.0.0.1:9999", 403)]
    [InlineData("https://127.0.0.1:4318", 403)]
    [InlineData("http://localhost:4318", 403)]
    [InlineData("http://attacker.example", 403)]
    [InlineData("null", 403)]
    public void A_foreign_origin_is_refused(string origin, int? status)
    {
        HttpRequest request = Request("GET", "127.0.0.1:4318");
        request.Headers.Origin = origin;
        Assert.Equal(status, Gate.Check(request)?.Status);
    }

    [Theory]
    [InlineData("same-origin", null)]
    [InlineData("none", null)]
    [InlineData("same-site", 403)]
    [InlineData("cross-site", 403)]
    public void A_cross_site_fetch_is_refused(string site, int? status)
    {
        HttpRequest request = Request("GET", "127.0.0.1:4318", "/api/v1/runs");
        request.Headers["Sec-Fetch-Site"] = site;
        Assert.Equal(status, Gate.Check(request)?.Status);
    }

    [Theory]
    [InlineData("GET", "/", "navigate", "document", null)]
    [InlineData("GET", "/api/v1/runs", "navigate", "document", 403)]
    [InlineData("GET", "/", "no-cors", "script", 403)]
    [InlineData("GET", "/", "navigate", "iframe", 403)]
    [InlineData("POST", "/", "navigate", "document", 403)]
    public void A_link_from_another_site_may_only_open_the_page(string method, string path, string mode, string destination, int? status)
    {
        HttpRequest request = Request(method, "127.0.0.1:4318", path, "application/json");
        request.Headers["Sec-Fetch-Site"] = "cross-site";
        request.Headers["Sec-Fetch-Mode"] = mode;
        request.Headers["Sec-Fetch-Dest"] = destination;
        Assert.Equal(status, Gate.Check(request)?.Status);
    }

    [Theory]
    [InlineData(null, 415)]
    [InlineData("", 415)]
    [InlineData("text/plain", 415)]
    [InlineData("Text/Plain; charset=utf-8", 415)]
    [InlineData("application/x-www-form-urlencoded", 415)]
    [InlineData("multipart/form-data; boundary=x", 415)]
    [InlineData("nonsense", 415)]
    [InlineData("application/json", null)]
    [InlineData("application/json; charset=utf-8", null)]
    [InlineData("application/x-protobuf", null)]
    public void A_post_needs_a_content_type_that_no_form_sends(string? contentType, int? status) =>
        Assert.Equal(status, Gate.Check(Request("POST", "127.0.0.1:4318", "/anything", contentType))?.Status);

    [Fact]
    public void A_refusal_repeats_nothing_of_the_request()
    {
        HttpRequest request = Request("POST", "secret-name.example", "/secret-path", "secret/type");
        Assert.DoesNotContain("secret", Gate.Check(request)!.Message, StringComparison.OrdinalIgnoreCase);
    }

    private static HttpRequest Request(string method, string host, string path = "/", string? contentType = null)
    {
        HttpRequest request = new DefaultHttpContext().Request;
        request.Method = method;
        request.Scheme = "http";
        request.Host = new HostString(host);
        request.Path = path;
        request.ContentType = contentType;
        return request;
    }
}
