using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Evident.Demo;

namespace Evident.Tests.Web;

/// <summary>The query half of the HTTP contract, against the real listener and store.</summary>
public sealed class ApiTests : IAsyncLifetime
{
    private RunningWeb web = null!;

    public async Task InitializeAsync() => web = await RunningWeb.StartAsync();

    public async Task DisposeAsync() => await web.DisposeAsync();

    [Theory]
    [InlineData("/api/v1/runs?limit=0", 400)]
    [InlineData("/api/v1/runs?limit=501", 400)]
    [InlineData("/api/v1/runs?limit=x", 400)]
    [InlineData("/api/v1/runs?outcome=wonderful", 400)]
    [InlineData("/api/v1/runs?attr.shard=1", 400)]
    [InlineData("/api/v1/runs?duration=soon", 400)]
    [InlineData("/api/v1/spans?colour=red", 400)]
    [InlineData("/api/v1/spans?kind=wonderful", 400)]
    [InlineData("/api/v1/spans?flag=loop", 400)]
    [InlineData("/api/v1/spans?cursor=bm9wZQ", 400)]
    [InlineData("/api/v1/runs?status=wonderful", 400)]
    [InlineData("/api/v1/runs?from=yesterday", 400)]
    [InlineData("/api/v1/runs?cursor=nonsense", 400)]
    [InlineData("/api/v1/runs/none", 404)]
    [InlineData("/api/v1/traces/xyz", 400)]
    [InlineData("/api/v1/traces/5b8efff798038103d269b633813fc60c", 404)]
    [InlineData("/api/v1/ledger/entries?from=-1", 400)]
    [InlineData("/api/v1/ledger/entries?limit=100000", 400)]
    [InlineData("/api/v1/ledger/proof/x", 400)]
    [InlineData("/api/v1/ledger/proof/999999", 404)]
    [InlineData("/nothing", 404)]
    [InlineData("/assets/../secrets", 404)]
    public async Task An_error_has_a_code_and_a_sentence(string path, int status)
    {
        using HttpResponseMessage response = await web.Client.GetAsync(path);
        Assert.Equal(status, (int)response.StatusCode);
        using JsonDocument body = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        JsonElement error = body.RootElement.GetProperty("error");
        Assert.Matches("^[a-z_]+$", error.GetProperty("code").GetString());
        Assert.EndsWith(".", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_payload_does_not_open_over_http()
    {
        (int status, _, byte[] body, _) = await web.PostAsync("/api/v1/vault/vr_01ARZ3NDEKTSV4RRFFQ69G5FAV/open", """{"reason":"x"}"""u8.ToArray(), "application/json");
        Assert.Equal(403, status);
        Assert.Contains("evident vault read", JsonDocument.Parse(body).RootElement.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(415, (await web.PostAsync("/api/v1/vault/vr_x/open", "{}"u8.ToArray(), null)).Status);
        Assert.Equal(405, (int)(await web.Client.GetAsync("/api/v1/vault/vr_x/open")).StatusCode);
    }

    [Fact]
    public async Task Runs_traces_ledger_status_and_metrics_agree()
    {
        DemoRun run = ApprovalRuns.RefundApproved(DateTimeOffset.UtcNow.AddMinutes(-10), "ticket-9421");
        var sender = new DemoSender(web.Url);
        await sender.SendAsync(run, CancellationToken.None);

        JsonElement list = await GetAsync("/api/v1/runs?session_id=ticket-9421&status=success&tool=refund.submit&limit=1");
        JsonElement listed = Assert.Single(list.GetProperty("runs").EnumerateArray());
        Assert.Equal(run.RunId, listed.GetProperty("run_id").GetString());
        Assert.Equal(JsonValueKind.Null, list.GetProperty("next").ValueKind);
        Assert.Empty((await GetAsync("/api/v1/runs?session=ticket-0")).GetProperty("runs").EnumerateArray());

        JsonElement story = await GetAsync($"/api/v1/runs/{run.RunId}");
        Assert.Equal(run.Spans.Count, story.GetProperty("spans").GetArrayLength());
        JsonElement trace = await GetAsync($"/api/v1/traces/{run.Spans[0].TraceId}");
        Assert.Equal(run.Spans.Count, trace.GetProperty("spans").GetArrayLength());

        JsonElement head = await GetAsync("/api/v1/ledger/head");
        long size = head.GetProperty("size").GetInt64();
        JsonElement entries = await GetAsync("/api/v1/ledger/entries?from=0&limit=2");
        Assert.Equal(2, entries.GetProperty("entries").GetArrayLength());
        Assert.Equal(2, entries.GetProperty("next").GetInt64());
        Assert.Equal(size, entries.GetProperty("size").GetInt64());
        string? previous = null;
        foreach (JsonElement entry in (await GetAsync("/api/v1/ledger/entries?from=0&limit=1000")).GetProperty("entries").EnumerateArray())
        {
            JsonElement integrity = entry.GetProperty("integrity");
            Assert.Equal(previous ?? integrity.GetProperty("prev_hash").GetString(), integrity.GetProperty("prev_hash").GetString());
            previous = integrity.GetProperty("this_hash").GetString();
        }

        JsonElement status = await GetAsync("/api/v1/status");
        Assert.Equal(run.Spans.Count, status.GetProperty("ingest").GetProperty("accepted_spans").GetInt32());
        Assert.Equal("open", status.GetProperty("vault").GetProperty("state").GetString());
        Assert.Equal(Evident.Ingest.RuleSet.Default.Rules.Count(r => r.On), status.GetProperty("redaction").GetProperty("in_force").GetInt32());
        string metrics = await web.Client.GetStringAsync("/metrics");
        Assert.Contains($"evident_ingest_spans_total{{result=\"accepted\"}} {run.Spans.Count}\n", metrics, StringComparison.Ordinal);
        Assert.Contains($"evident_ledger_entries {size}\n", metrics, StringComparison.Ordinal);
        Assert.All(metrics.Split('\n', StringSplitOptions.RemoveEmptyEntries), l => Assert.Matches(@"^(# (HELP|TYPE) evident_|evident_[a-z_]+(\{[a-z]+=""[^""]*""\})? \d+$)", l));
    }

    [Fact]
    public async Task Spans_are_found_by_tool_level_and_attribute()
    {
        DemoRun run = ApprovalRuns.RefundApproved(DateTimeOffset.UtcNow.AddMinutes(-10), "ticket-7001");
        await new DemoSender(web.Url).SendAsync(run, default);
        using JsonDocument story = JsonDocument.Parse(await web.Client.GetStringAsync("/api/v1/runs?session=ticket-7001"));
        JsonElement tool = story.RootElement.GetProperty("runs")[0].GetProperty("tools").EnumerateArray().First(t => t.GetProperty("side_effect_level").GetString() is "write" or "irreversible");
        string name = tool.GetProperty("name").GetString()!, level = tool.GetProperty("side_effect_level").GetString()!;
        using JsonDocument page = JsonDocument.Parse(await web.Client.GetStringAsync($"/api/v1/spans?session=ticket-7001&kind=tool&side_effect={level}&attr.tool.name={name}&duration=%3E0"));
        JsonElement[] spans = [.. page.RootElement.GetProperty("spans").EnumerateArray()];
        Assert.Equal(tool.GetProperty("calls").GetInt32(), spans.Length);
        Assert.All(spans, span => Assert.Equal(name, span.GetProperty("tool_name").GetString()));
        Assert.True(page.RootElement.GetProperty("complete").GetBoolean());
        Assert.Equal(JsonValueKind.Null, page.RootElement.GetProperty("next").ValueKind);
        Assert.True(page.RootElement.GetProperty("looked").GetInt64() >= spans.Length);
    }

    [Fact]
    public async Task The_page_is_served_packed_named_by_content_and_revalidated()
    {
        using HttpResponseMessage page = await web.Client.GetAsync("/");
        if (page.StatusCode == HttpStatusCode.NotFound)
        {
            return; // built with EvidentUi=false, which a publish refuses
        }

        Assert.Equal("text/html", page.Content.Headers.ContentType?.MediaType);
        Assert.Equal("no-cache", page.Headers.CacheControl?.ToString());
        string html = await page.Content.ReadAsStringAsync();
        string script = System.Text.RegularExpressions.Regex.Match(html, "/assets/app-[0-9a-f]+\\.js").Value;
        Assert.NotEmpty(script);

        byte[] plain = await web.Client.GetByteArrayAsync(script);
        foreach (string coding in new[] { "br", "gzip" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, script);
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue(coding));
            using HttpResponseMessage response = await web.Client.SendAsync(request);
            Assert.Equal([coding], response.Content.Headers.ContentEncoding);
            Assert.Contains("immutable", response.Headers.CacheControl!.ToString(), StringComparison.Ordinal);
            await using Stream packed = await response.Content.ReadAsStreamAsync();
            await using Stream unpacked = coding == "br"
                ? new System.IO.Compression.BrotliStream(packed, System.IO.Compression.CompressionMode.Decompress)
                : new System.IO.Compression.GZipStream(packed, System.IO.Compression.CompressionMode.Decompress);
            using var content = new MemoryStream();
            await unpacked.CopyToAsync(content);
            Assert.Equal(plain, content.ToArray());
        }

        using var again = new HttpRequestMessage(HttpMethod.Get, "/");
        again.Headers.IfNoneMatch.Add(page.Headers.ETag!);
        Assert.Equal(HttpStatusCode.NotModified, (await web.Client.SendAsync(again)).StatusCode);
        using HttpResponseMessage head = await web.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, script));
        Assert.Equal(plain.Length, head.Content.Headers.ContentLength);
        Assert.Equal(405, (await web.PostAsync(script, "{}"u8.ToArray(), "application/json")).Status);
    }

    private async Task<JsonElement> GetAsync(string path)
    {
        using HttpResponseMessage response = await web.Client.GetAsync(path);
        string body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{path}: {(int)response.StatusCode} {body}");
        return JsonDocument.Parse(body).RootElement;
    }
}
