using Evident.Demo;
using Evident.Ingest;

namespace Evident.Tests.Web;

public sealed class DemoTests
{
    [Fact]
    public void Every_run_of_the_demo_decodes_whole_and_lies_in_the_past()
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        IReadOnlyList<DemoRun> runs = DemoCatalogue.Everything(now);
        Assert.True(runs.Count >= 14);
        Assert.Equal(runs.Count, runs.Select(r => r.Kind).Distinct().Count());
        Assert.Equal(runs.Count, runs.Select(r => r.Session).Distinct().Count());
        Assert.Contains(runs, r => r.Session == "ticket-9421");
        foreach (DemoRun run in runs)
        {
            using SpanBatch batch = SpanBatch.Rent();
            OtlpJsonDecoder.Decode(run.ToOtlpJson(), new IngestLimits(), batch);
            Assert.Equal((run.Spans.Count, 0), (batch.SpanCount, batch.Rejected));
            Assert.All(run.Spans, s => Assert.InRange(s.End, s.Start, (ulong)now.ToUnixTimeMilliseconds() * 1_000_000));
        }
    }

    [Fact]
    public void A_later_run_has_just_ended()
    {
        for (int i = 0; i < 50; i++)
        {
            DateTimeOffset now = DateTimeOffset.UtcNow;
            double age = (now.ToUnixTimeMilliseconds() * 1e6 - DemoCatalogue.Another(now, i).Now) / 1e9;
            Assert.InRange(age, 0, 5);
        }
    }

    [Fact]
    public void The_configuration_that_the_demo_writes_is_valid() =>
        Assert.NotEmpty(Evident.Configuration.ConfigurationFile.Parse(System.Text.Encoding.UTF8.GetBytes(DemoCatalogue.Configuration), "demo").Tools);
}
