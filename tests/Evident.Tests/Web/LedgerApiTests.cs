using System.Text;
using System.Text.Json;
using Evident.Demo;
using Evident.Ledger;

namespace Evident.Tests.Web;

/// <summary>The ledger half of the HTTP contract: filters, head as a picture, proof as a file, the check of the ledger.</summary>
public sealed class LedgerApiTests : IAsyncLifetime
{
    private RunningWeb web = null!;

    public async Task InitializeAsync() => web = await RunningWeb.StartAsync();

    private async Task FillAsync()
    {
        var sender = new DemoSender(web.Url);
        foreach (DemoRun run in DemoCatalogue.Everything(DateTimeOffset.UtcNow))
        {
            await sender.SendAsync(run, CancellationToken.None);
        }
    }

    public async Task DisposeAsync() => await web.DisposeAsync();

    [Theory]
    [InlineData("type=nonsense")]
    [InlineData("type=nonsense.")]
    [InlineData("approval=perhaps")]
    [InlineData("level=high")]
    [InlineData("args_match=maybe")]
    [InlineData("actor_kind=robot")]
    [InlineData("since=yesterday")]
    [InlineData("until=2026")]
    [InlineData("tool=x&limit=501")]
    [InlineData("tool=x&from=0")]
    [InlineData("order=sideways")]
    [InlineData("order=oldest&tool=x")]
    [InlineData("order=newest&from=3")]
    [InlineData("cursor=zzz")]
    public async Task A_filter_that_cannot_be_meant_is_400(string query)
    {
        using HttpResponseMessage response = await web.Client.GetAsync("/api/v1/ledger/entries?" + query);
        Assert.Equal(400, (int)response.StatusCode);
        string sentence = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error").GetProperty("message").GetString()!;
        Assert.EndsWith(".", sentence, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Filtered_entries_are_the_ledgers_lines_newest_first_with_a_cursor()
    {
        await FillAsync();
        var all = (await GetAsync("/api/v1/ledger/entries?limit=1000")).GetProperty("entries").EnumerateArray().ToArray();
        JsonElement first = await GetAsync("/api/v1/ledger/entries?type=approval.&limit=3");
        var expected = all.Where(e => e.GetProperty("type").GetString()!.StartsWith("approval.", StringComparison.Ordinal)).Select(e => e.GetRawText()).Reverse().ToArray();
        Assert.InRange(expected.Length, 7, 1_000);
        Assert.Equal(expected.Length, first.GetProperty("matches").GetInt32());
        Assert.True(first.GetProperty("matches_complete").GetBoolean());
        var seen = first.GetProperty("entries").EnumerateArray().Select(e => e.GetRawText()).ToList();
        for (string? cursor = first.GetProperty("next").GetString(); cursor is not null;)
        {
            JsonElement page = await GetAsync($"/api/v1/ledger/entries?type=approval.&limit=3&cursor={cursor}");
            seen.AddRange(page.GetProperty("entries").EnumerateArray().Select(e => e.GetRawText()));
            cursor = page.GetProperty("next").GetString();
        }

        Assert.Equal(expected, seen);
        JsonElement newest = await GetAsync("/api/v1/ledger/entries?order=newest&limit=5");
        Assert.Equal(all.Select(e => e.GetRawText()).Reverse().Take(5), newest.GetProperty("entries").EnumerateArray().Select(e => e.GetRawText()));
        JsonElement none = await GetAsync("/api/v1/ledger/entries?tenant=Nobody+here");
        Assert.Equal((0, 0), (none.GetProperty("entries").GetArrayLength(), none.GetProperty("matches").GetInt32()));
        foreach (string run in all.Where(e => e.TryGetProperty("run_id", out _)).Select(e => e.GetProperty("run_id").GetString()!).Distinct().Take(3))
        {
            JsonElement ofRun = await GetAsync($"/api/v1/ledger/entries?run={run}&since=2020-01-01T00:00:00Z&limit=500");
            Assert.All(ofRun.GetProperty("entries").EnumerateArray(), e => Assert.Equal(run, e.GetProperty("run_id").GetString()));
            Assert.NotEmpty(ofRun.GetProperty("entries").EnumerateArray());
        }
    }

    [Fact]
    public async Task The_head_is_a_picture_of_the_published_note()
    {
        JsonElement head = await GetAsync("/api/v1/ledger/head");
        string note = head.GetProperty("checkpoint").GetString()!;
        string text = head.GetProperty("text").GetString()!;
        Assert.True(HeadText.TryParse(Encoding.ASCII.GetBytes(text), out Checkpoint typed, out _));
        Assert.Equal(note.Split('\n')[1], typed.Size.ToString(System.Globalization.CultureInfo.InvariantCulture));
        using HttpResponseMessage response = await web.Client.GetAsync("/api/v1/ledger/head.svg");
        Assert.Equal("image/svg+xml", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(QrCode.ToSvg(Encoding.UTF8.GetBytes(note)), await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_proof_is_a_file_that_leads_to_a_published_head()
    {
        JsonElement genesis = (await GetAsync("/api/v1/ledger/entries?limit=1")).GetProperty("entries")[0];
        JsonElement head = await GetAsync("/api/v1/ledger/head");
        NoteKey identity = NoteKey.ParseVerifierKey(head.GetProperty("identity_vkey").GetString()!)!;
        using HttpResponseMessage response = await web.Client.GetAsync("/api/v1/ledger/proof/0?format=tlog-proof");
        Assert.Equal("text/plain", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal("entry-0.tlog-proof", response.Content.Headers.ContentDisposition?.FileName);
        byte[] file = await response.Content.ReadAsByteArrayAsync();
        Assert.True(TlogProof.TryParse(file, out TlogProof proof, out _));
        Assert.True(proof.Proves(Convert.FromHexString(genesis.GetProperty("integrity").GetProperty("this_hash").GetString()!["sha256:".Length..]), identity));

        using var plain = new HttpRequestMessage(HttpMethod.Get, "/api/v1/ledger/proof/0");
        plain.Headers.Accept.ParseAdd("text/plain");
        Assert.Equal(file, await (await web.Client.SendAsync(plain)).Content.ReadAsByteArrayAsync());
        Assert.Equal(0, (await GetAsync("/api/v1/ledger/proof/0")).GetProperty("seq").GetInt32());
        Assert.Equal(400, (int)(await web.Client.GetAsync("/api/v1/ledger/proof/0?format=pdf")).StatusCode);
        Assert.Equal(404, (int)(await web.Client.GetAsync("/api/v1/ledger/proof/9999?format=tlog-proof")).StatusCode);
    }

    [Fact]
    public async Task The_check_runs_once_tells_its_way_and_gives_the_report_of_verify()
    {
        await FillAsync();
        Assert.Equal("idle", (await GetAsync("/api/v1/ledger/verify")).GetProperty("state").GetString());
        Assert.Equal(415, (await web.PostAsync("/api/v1/ledger/verify", [], null)).Status);
        Assert.Equal(405, (int)(await web.Client.DeleteAsync("/api/v1/ledger/verify")).StatusCode);
        var starts = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => web.PostAsync("/api/v1/ledger/verify", "{}"u8.ToArray(), "application/json")));
        Assert.All(starts, s => Assert.Equal(202, s.Status));
        JsonElement state = await FinishedAsync();
        Assert.Equal("done", state.GetProperty("state").GetString());
        JsonElement report = state.GetProperty("report");
        Assert.Equal((10, "CONSISTENT-UNANCHORED"), (report.GetProperty("code").GetInt32(), report.GetProperty("verdict").GetString()));
        Assert.Equal(state.GetProperty("of").GetInt64(), report.GetProperty("entries").GetInt64());
        Assert.StartsWith("CONSISTENT-UNANCHORED (10)", state.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Contains("proves nothing", state.GetProperty("meaning").GetString(), StringComparison.Ordinal);
        Assert.Equal(JsonValueKind.Null, state.GetProperty("failure").ValueKind);
    }

    [Fact]
    public async Task The_check_finds_what_was_changed_on_the_disk()
    {
        await FillAsync();
        string ledger = Path.Combine(web.Data, "ledger", "00000000000000000000.jsonl");
        File.WriteAllText(ledger, File.ReadAllText(ledger).Replace("\"approved\"", "\"rejected\"", StringComparison.Ordinal));
        await web.PostAsync("/api/v1/ledger/verify", "{}"u8.ToArray(), "application/json");
        JsonElement report = (await FinishedAsync()).GetProperty("report");
        Assert.Equal(32, report.GetProperty("code").GetInt32());
        Assert.NotEmpty(report.GetProperty("findings").EnumerateArray());
    }

    [Fact]
    public async Task A_check_that_runs_does_not_hold_up_the_stop()
    {
        await FillAsync();
        await web.PostAsync("/api/v1/ledger/verify", "{}"u8.ToArray(), "application/json");
        web.Store.Close();
        Assert.NotEqual("running", web.Store.LedgerCheck.State.State);
        Assert.NotEqual("running", web.Store.LedgerCheck.Start().State);
    }

    private async Task<JsonElement> FinishedAsync()
    {
        while (true)
        {
            JsonElement state = await GetAsync("/api/v1/ledger/verify");
            if (state.GetProperty("state").GetString() != "running")
            {
                return state;
            }

            Assert.True(state.GetProperty("entries").GetInt64() <= state.GetProperty("of").GetInt64());
            await Task.Delay(20);
        }
    }

    private async Task<JsonElement> GetAsync(string path)
    {
        using HttpResponseMessage response = await web.Client.GetAsync(path);
        string body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{path}: {(int)response.StatusCode} {body}");
        return JsonDocument.Parse(body).RootElement;
    }
}
