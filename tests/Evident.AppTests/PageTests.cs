using System.Collections.Concurrent;
using Microsoft.Playwright;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>One demo and one headless Chromium for all tests of the page.</summary>
public sealed class DemoPage : IAsyncLifetime
{
    private readonly TestDirectory place = new();
    private IPlaywright playwright = null!;

    public EvidentProcess Demo { get; private set; } = null!;
    public string DataDirectory => place.Data;
    public IBrowser Browser { get; private set; } = null!;

    /// <summary>A run whose write was approved and executed.</summary>
    public string ApprovedRun { get; private set; } = "";

    public async Task InitializeAsync()
    {
        Demo = await EvidentProcess.StartAsync(EvidentBinary.Path, ["demo", "--data", place.Data, "--listen", "http://127.0.0.1:0"]);
        using var wire = new Wire(Demo.Url);
        for (var until = DateTime.UtcNow.AddSeconds(45); DateTime.UtcNow < until && ApprovedRun.Length == 0; await Task.Delay(300))
        {
            var runs = (await wire.JsonAsync("/api/v1/runs?limit=200")).GetProperty("runs").EnumerateArray().ToArray();
            if (runs.Length < 12) continue;
            foreach (var run in runs.Where(r => r.GetProperty("approvals").GetProperty("approved").GetInt32() > 0))
            {
                var id = run.Text("run_id")!;
                var story = await wire.JsonAsync($"/api/v1/runs/{Uri.EscapeDataString(id)}");
                if (story.GetProperty("approvals").EnumerateArray().Any(a => a.Text("sentence")!.Contains("800 ms", StringComparison.Ordinal))) ApprovedRun = id;
            }
        }
        Assert.NotEqual("", ApprovedRun);
        playwright = await Playwright.CreateAsync();
        Browser = await playwright.Chromium.LaunchAsync(new() { ExecutablePath = "/usr/bin/chromium", Headless = true, Args = ["--no-sandbox", "--disable-dev-shm-usage"] });
    }

    public async Task DisposeAsync()
    {
        if (Browser is not null) await Browser.CloseAsync();
        playwright?.Dispose();
        Demo?.Dispose();
        place.Dispose();
    }
}

/// <summary>The page in a real browser: nothing from elsewhere, no error, readable, reachable by keyboard.</summary>
public sealed class PageTests(DemoPage demo, ITestOutputHelper test) : IClassFixture<DemoPage>
{
    public static TheoryData<int, int, ColorScheme> Screens => new()
    {
        { 1280, 900, ColorScheme.Light }, { 1280, 900, ColorScheme.Dark }, { 390, 844, ColorScheme.Light }, { 390, 844, ColorScheme.Dark },
    };

    [Theory]
    [MemberData(nameof(Screens))]
    public async Task List_and_run_open(int width, int height, ColorScheme scheme)
    {
        await using var visit = await Visit.StartAsync(demo, width, height, scheme);
        var page = visit.Page;
        await page.GotoAsync(demo.Demo.Url + "/");
        await page.WaitForSelectorAsync("a.to-run");
        Assert.InRange(await page.Locator("tr.run").CountAsync(), 12, 200);
        Assert.True(await FitsAsync(page), "the list is wider than the screen");
        await visit.ShotAsync("runs");

        await page.ClickAsync($"a.to-run[href*='{Uri.EscapeDataString(demo.ApprovedRun)}']");
        await page.WaitForSelectorAsync("[role=tree] [role=treeitem]");
        var rows = await page.Locator("[role=treeitem]").CountAsync();
        Assert.InRange(rows, 4, 500);
        // Tree and timeline stand in the same rows: every step has its place on the time scale.
        var bars = page.Locator("[role=tree] i.b");
        Assert.InRange(await bars.CountAsync(), rows / 2, 2000);
        Assert.True(await bars.First.EvaluateAsync<double>("e => e.getBoundingClientRect().height") > 2);
        Assert.InRange(await page.Locator("[role=tree] i.b.hatch").CountAsync(), 1, 100);
        var sentence = await page.Locator(".story").First.InnerTextAsync();
        test.WriteLine(sentence);
        Assert.Contains("approved", sentence, StringComparison.Ordinal);
        Assert.Contains("800 ms", sentence, StringComparison.Ordinal);
        Assert.Contains("sealed", await page.Locator("article.run-page button.chip.sealed").First.InnerTextAsync(), StringComparison.Ordinal);
        Assert.True(await FitsAsync(page), "the run page is wider than the screen");
        await visit.ShotAsync("run");

        // The chip leads to the way to open it, never to the content.
        await page.Locator("article.run-page button.chip.sealed").First.ClickAsync();
        Assert.Contains("evident vault read vr_", await page.Locator("dialog[open]").InnerTextAsync(), StringComparison.Ordinal);
        await visit.ShotAsync("sealed");
        await page.Keyboard.PressAsync("Escape");

        visit.Check();
    }

    [Theory]
    [MemberData(nameof(Screens))]
    public async Task The_privacy_page_tells_what_is_captured_and_what_was_redacted(int width, int height, ColorScheme scheme)
    {
        await using var visit = await Visit.StartAsync(demo, width, height, scheme);
        var page = visit.Page;
        await page.GotoAsync(demo.Demo.Url + "/");
        await page.ClickAsync("nav.rail a:has-text('Privacy')");
        await page.WaitForSelectorAsync(".privacy .rules");
        Assert.Contains("Payloads are redacted, then sealed.", await page.Locator(".privacy .claim").InnerTextAsync(), StringComparison.Ordinal);
        Assert.Contains("everyone", await page.Locator(".privacy .rules tbody tr").InnerTextAsync(), StringComparison.Ordinal);
        Assert.InRange(await page.Locator(".privacy .found li").CountAsync(), 2, 99);
        Assert.Equal(0, await page.Locator(".debugbanner").CountAsync());
        Assert.True(await FitsAsync(page), "the privacy page is wider than the screen");
        await visit.ShotAsync("privacy");
        visit.Check();
    }

    [Theory]
    [MemberData(nameof(Screens))]
    public async Task While_a_debug_session_is_open_no_page_is_without_its_banner(int width, int height, ColorScheme scheme)
    {
        string data = demo.DataDirectory;
        Assert.Equal(0, EvidentProcess.Run("debug", "request", "--tenant", "nobody", "--workflow", "none", "--minutes", "5", "--reason", "shown to a browser", "--data", data).Code);
        using var wire = new Wire(demo.Demo.Url);
        string id = (await wire.JsonAsync("/api/v1/status")).GetProperty("capture").GetProperty("debug_sessions").EnumerateArray().Single().Text("id")!;
        try
        {
            Assert.Equal(0, EvidentProcess.Run("debug", "approve", id, "--single-operator", "--data", data).Code);
            await using var visit = await Visit.StartAsync(demo, width, height, scheme);
            foreach (string address in new[] { "/", "/?run=" + Uri.EscapeDataString(demo.ApprovedRun), "/?page=ledger", "/?page=privacy" })
            {
                await visit.Page.GotoAsync(demo.Demo.Url + address);
                string banner = await visit.Page.Locator(".debugbanner").InnerTextAsync();
                Assert.Contains("captured unredacted of tenant nobody, workflow none until", banner, StringComparison.Ordinal);
                Assert.Contains("shown to a browser", banner, StringComparison.Ordinal);
                Assert.Contains("alone", banner, StringComparison.Ordinal);
                Assert.True(await FitsAsync(visit.Page), $"{address} with a banner is wider than the screen");
            }

            await visit.ShotAsync("debug");
            visit.Check();
        }
        finally
        {
            Assert.Equal(0, EvidentProcess.Run("debug", "close", id, "--data", data).Code);
        }
    }

    [Theory]
    [MemberData(nameof(Screens))]
    public async Task The_ledger_is_a_thread_with_its_head_its_check_and_its_entries(int width, int height, ColorScheme scheme)
    {
        await using var visit = await Visit.StartAsync(demo, width, height, scheme);
        var page = visit.Page;
        await page.GotoAsync(demo.Demo.Url + "/?page=ledger");
        await page.WaitForSelectorAsync(".thread .item");
        var entries = await page.Locator(".thread a.e").CountAsync();
        Assert.InRange(entries, 20, 100);
        Assert.InRange(await page.Locator(".thread .item.signed").CountAsync(), 5, entries); // groups end in a checkpoint
        Assert.Contains("rests on this host's key alone", await page.Locator(".thread").InnerTextAsync(), StringComparison.Ordinal);
        Assert.True(await FitsAsync(page), "the ledger page is wider than the screen");
        await visit.ShotAsync("ledger");

        // One entry: facts, both hashes, its proof; the address says so and back takes it back.
        await page.Locator(".thread a.e", new() { HasTextString = "approval.execution" }).First.ClickAsync();
        await page.WaitForSelectorAsync(".entrysheet");
        Assert.Contains("entry=", page.Url, StringComparison.Ordinal);
        Assert.Equal(2, await page.Locator(".entrysheet .links .wrap").CountAsync());
        Assert.True(await FitsAsync(page), "the ledger page with an entry is wider than the screen");
        await visit.ShotAsync("ledger-entry");
        await page.GoBackAsync();
        await page.WaitForSelectorAsync(".entrysheet", new() { State = WaitForSelectorState.Detached });

        await page.ClickAsync("text=Take the head away");
        await page.WaitForFunctionAsync("() => { const i = document.querySelector('.takeaway img'); return i && i.complete && i.naturalWidth > 0; }"); // the policy lets it through
        Assert.Contains("evident verify DATA --known-head", await page.Locator(".takeaway").InnerTextAsync(), StringComparison.Ordinal);
        Assert.True(await FitsAsync(page), "the head to take away is wider than the screen");
        await visit.ShotAsync("ledger-head");

        await page.ClickAsync("text=Verify now");
        await page.ClickAsync(".check button");
        await page.WaitForSelectorAsync(".report .verdict");
        Assert.Contains("CONSISTENT-UNANCHORED", await page.Locator(".report .verdict").InnerTextAsync(), StringComparison.Ordinal);
        Assert.Contains("proves nothing", await page.Locator(".check .meaning").InnerTextAsync(), StringComparison.Ordinal);
        Assert.True(await FitsAsync(page), "the report is wider than the screen");
        await visit.ShotAsync("ledger-check");
        visit.Check();
    }

    [Fact]
    public async Task Ledger_filters_have_addresses_say_what_they_leave_out_and_lead_to_runs()
    {
        await using var visit = await Visit.StartAsync(demo, 1280, 900, ColorScheme.Light);
        var page = visit.Page;
        await page.GotoAsync(demo.Demo.Url + "/?page=ledger");
        await page.WaitForSelectorAsync(".thread .item");
        var all = await page.Locator(".thread a.e").CountAsync();
        await page.ClickAsync(".groups >> text=approvals");
        await page.WaitForFunctionAsync($"() => {{ const n = document.querySelectorAll('.thread a.e').length; return n > 0 && n < {all} && !document.querySelector('.stale'); }}");
        Assert.Contains("type=approval.", page.Url, StringComparison.Ordinal);
        Assert.All(await page.Locator(".thread a.e .type").AllInnerTextsAsync(), t => Assert.StartsWith("approval.", t, StringComparison.Ordinal));
        Assert.InRange(await page.Locator(".thread .gap").CountAsync(), 1, 100);
        await page.SelectOptionAsync("select[aria-label='filter by approval']", "approved");
        await page.WaitForURLAsync(u => u.Contains("approval=approved", StringComparison.Ordinal));
        await page.FillAsync("input[name=actor]", "s_901");
        await page.PressAsync("input[name=actor]", "Enter");
        await page.WaitForURLAsync(u => u.Contains("actor=s_901", StringComparison.Ordinal));
        await page.WaitForFunctionAsync("() => document.querySelector('.thread a.e') && !document.querySelector('.stale')");
        var some = await page.Locator(".thread a.e").CountAsync();
        await page.ReloadAsync();
        await page.WaitForSelectorAsync(".thread a.e");
        Assert.Equal(some, await page.Locator(".thread a.e").CountAsync());
        await page.GoBackAsync();
        await page.WaitForURLAsync(u => !u.Contains("actor=", StringComparison.Ordinal));

        await page.Locator(".thread a.e").First.ClickAsync();
        await page.Locator(".entrysheet .facts a[href*='run=']").First.ClickAsync();
        await page.WaitForSelectorAsync("[role=tree] [role=treeitem]");
        await page.Locator(".run-head a[href*='page=ledger']").First.ClickAsync(); // and from the run back to its entry
        await page.WaitForSelectorAsync(".entrysheet");

        await page.GotoAsync(demo.Demo.Url + "/?page=ledger&tool=no-such-tool");
        await page.WaitForSelectorAsync("main .notice");
        Assert.Equal(0, await page.Locator(".thread a.e").CountAsync());
        visit.Check();
    }

    [Fact]
    public async Task The_thread_is_walked_by_keyboard()
    {
        await using var visit = await Visit.StartAsync(demo, 1280, 900, ColorScheme.Light);
        var page = visit.Page;
        await page.GotoAsync(demo.Demo.Url + "/?page=ledger&type=tool.");
        await page.WaitForSelectorAsync(".thread a.e");
        var reached = false;
        for (var i = 0; i < 60 && !reached; i++)
        {
            await page.Keyboard.PressAsync("Tab");
            reached = await page.EvaluateAsync<bool>("() => document.activeElement.matches('.thread a.e')");
        }
        Assert.True(reached, "sixty Tabs do not reach the first entry");
        var first = await page.EvaluateAsync<string>("() => document.activeElement.id");
        await page.Keyboard.PressAsync("ArrowDown");
        var second = await page.EvaluateAsync<string>("() => document.activeElement.id");
        Assert.NotEqual(first, second);
        await page.Keyboard.PressAsync("Enter");
        await page.WaitForSelectorAsync(".entrysheet");
        Assert.EndsWith("entry=" + second["entry-".Length..], page.Url, StringComparison.Ordinal);
        await page.Keyboard.PressAsync("Escape");
        await page.WaitForSelectorAsync(".entrysheet", new() { State = WaitForSelectorState.Detached });
        visit.Check();
    }

    [Fact]
    public async Task Light_and_dark_are_two_surfaces()
    {
        var surfaces = new List<string>();
        foreach (var scheme in new[] { ColorScheme.Light, ColorScheme.Dark })
        {
            await using var visit = await Visit.StartAsync(demo, 1280, 900, scheme);
            await visit.Page.GotoAsync(demo.Demo.Url + "/");
            await visit.Page.WaitForSelectorAsync("a.to-run");
            surfaces.Add(await visit.Page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color"));
            visit.Check();
        }
        Assert.NotEqual(surfaces[0], surfaces[1]);
    }

    [Fact]
    public async Task Everything_is_reachable_by_keyboard()
    {
        await using var visit = await Visit.StartAsync(demo, 1280, 900, ColorScheme.Light);
        var page = visit.Page;
        await page.GotoAsync(demo.Demo.Url + "/");
        await page.WaitForSelectorAsync("a.to-run");
        var reached = false;
        for (var i = 0; i < 40 && !reached; i++)
        {
            await page.Keyboard.PressAsync("Tab");
            reached = await page.EvaluateAsync<bool>("() => document.activeElement.matches('a.to-run')");
            var visible = await page.EvaluateAsync<bool>("() => { const r = document.activeElement.getBoundingClientRect(); return r.width > 0 && r.height > 0; }");
            Assert.True(visible, "the focus went to something that is not on show");
        }
        Assert.True(reached, "forty Tabs do not reach the first run");
        var first = await page.EvaluateAsync<string>("() => document.activeElement.getAttribute('href')");
        await page.Keyboard.PressAsync("ArrowDown");
        var second = await page.EvaluateAsync<string>("() => document.activeElement.getAttribute('href')");
        Assert.NotEqual(first, second);
        await page.Keyboard.PressAsync("Enter");
        await page.WaitForSelectorAsync("[role=tree]");
        Assert.EndsWith(second, page.Url, StringComparison.Ordinal);

        await page.FocusAsync("[role=tree]");
        await page.Keyboard.PressAsync("ArrowDown");
        Assert.NotEqual("", await page.GetAttributeAsync("[role=tree]", "aria-activedescendant") ?? "");
        await page.Keyboard.PressAsync("Enter");
        await page.WaitForFunctionAsync("() => location.search.includes('step=')");
        await visit.ShotAsync("step");
        await page.Keyboard.PressAsync("Escape");
        await page.WaitForFunctionAsync("() => !location.search.includes('step=')");
        await page.Keyboard.PressAsync("?");
        await page.WaitForSelectorAsync("dialog[open]");
        await page.Keyboard.PressAsync("Escape");
        visit.Check();
    }

    [Fact]
    public async Task Filters_narrow_the_list_and_have_addresses()
    {
        await using var visit = await Visit.StartAsync(demo, 1280, 900, ColorScheme.Light);
        var page = visit.Page;
        await page.GotoAsync(demo.Demo.Url + "/");
        await page.WaitForSelectorAsync("a.to-run");
        var all = await page.Locator("tr.run").CountAsync();
        await page.SelectOptionAsync("select[aria-label='filter by outcome']", "rejected");
        await page.WaitForURLAsync(u => u.Contains("rejected", StringComparison.Ordinal));
        await page.WaitForFunctionAsync($"() => {{ const n = document.querySelectorAll('tr.run').length; return n > 0 && n < {all}; }}");
        var some = await page.Locator("tr.run").CountAsync();
        await page.ReloadAsync();
        await page.WaitForSelectorAsync("a.to-run");
        Assert.Equal(some, await page.Locator("tr.run").CountAsync());
        await page.GotoAsync(demo.Demo.Url + "/?q=no-such-thing-anywhere");
        await page.WaitForSelectorAsync("main .notice");
        Assert.Equal(0, await page.Locator("tr.run").CountAsync());
        visit.Check();
    }

    [Fact]
    public async Task An_address_of_a_run_that_is_not_there_is_told_in_a_sentence()
    {
        await using var visit = await Visit.StartAsync(demo, 1280, 900, ColorScheme.Light, errorsExpected: true);
        await visit.Page.GotoAsync($"{demo.Demo.Url}/?run={Uri.EscapeDataString(demo.ApprovedRun)}-not");
        await visit.Page.WaitForSelectorAsync("main .notice");
        visit.Check();
    }

    private static Task<bool> FitsAsync(IPage page) => page.EvaluateAsync<bool>("() => document.documentElement.scrollWidth <= innerWidth + 1");

    /// <summary>One page that remembers what it asked for and what it complained about.</summary>
    private sealed class Visit : IAsyncDisposable
    {
        private readonly string origin;
        private readonly string label;
        private readonly bool errorsExpected;
        private readonly ConcurrentQueue<string> complaints = new();
        private readonly ConcurrentQueue<string> elsewhere = new();
        private int requests;
        private IBrowserContext context = null!;

        private Visit(string origin, string label, bool errorsExpected) => (this.origin, this.label, this.errorsExpected) = (origin, label, errorsExpected);

        public IPage Page { get; private set; } = null!;

        public static async Task<Visit> StartAsync(DemoPage demo, int width, int height, ColorScheme scheme, bool errorsExpected = false)
        {
            var visit = new Visit(new Uri(demo.Demo.Url).GetLeftPart(UriPartial.Authority), $"{width}-{scheme.ToString().ToLowerInvariant()}", errorsExpected);
            visit.context = await demo.Browser.NewContextAsync(new() { ViewportSize = new() { Width = width, Height = height }, ColorScheme = scheme, HasTouch = width < 500, IsMobile = width < 500 });
            visit.context.Request += (_, request) =>
            {
                Interlocked.Increment(ref visit.requests);
                if (!request.Url.StartsWith(visit.origin + "/", StringComparison.Ordinal) && !request.Url.StartsWith("data:", StringComparison.Ordinal)) visit.elsewhere.Enqueue(request.Url);
            };
            visit.context.RequestFailed += (_, request) =>
            {
                // A page that is left takes its open questions with it.
                if (request.Failure != "net::ERR_ABORTED") visit.complaints.Enqueue($"{request.Url} failed: {request.Failure}");
            };
            visit.Page = await visit.context.NewPageAsync();
            visit.Page.Console += (_, message) =>
            {
                if (message.Type is "error" or "warning") visit.complaints.Enqueue($"console {message.Type}: {message.Text}");
            };
            visit.Page.PageError += (_, error) => visit.complaints.Enqueue($"exception: {error}");
            return visit;
        }

        public void Check()
        {
            Assert.Empty(elsewhere);
            Assert.InRange(requests, 3, 10_000);
            if (!errorsExpected) Assert.Empty(complaints);
            else Assert.All(complaints, c => Assert.Contains("404", c, StringComparison.Ordinal));
        }

        public async Task ShotAsync(string name)
        {
            if (Environment.GetEnvironmentVariable("EVIDENT_SHOTS") is { Length: > 0 } directory)
                await Page.ScreenshotAsync(new() { Path = Path.Combine(directory, $"{name}-{label}.png"), FullPage = false });
        }

        public ValueTask DisposeAsync() => new(context.CloseAsync());
    }
}
