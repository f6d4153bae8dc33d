using Evident.Web;

namespace Evident.Tests.Web;

public sealed class ListenAddressTests
{
    [Theory]
    [InlineData("http://127.0.0.1:4318", true, "http://127.0.0.1:4318", 1)]
    [InlineData("http://127.0.0.1:0", true, "http://127.0.0.1:0", 1)]
    [InlineData("http://127.8.9.10:80", true, "http://127.8.9.10:80", 1)]
    [InlineData("http://[::1]:4318/", true, "http://[::1]:4318", 1)]
    [InlineData("http://localhost:4318", true, "http://localhost:4318", 2)]
    [InlineData("http://localhost:0", true, "http://localhost:0", 1)]
    [InlineData("grpc://127.0.0.1:4317", true, "grpc://127.0.0.1:4317", 1)]
    [InlineData("grpc://localhost:4317/", true, "grpc://localhost:4317", 2)]
    [InlineData("grpc://[::]:4317", false, "grpc://[::]:4317", 1)]
    [InlineData("http://0.0.0.0:4318", false, "http://0.0.0.0:4318", 1)]
    [InlineData("http://[::]:4318", false, "http://[::]:4318", 1)]
    [InlineData("http://192.168.1.7:4318", false, "http://192.168.1.7:4318", 1)]
    public void These_are_addresses(string text, bool loopback, string url, int endpoints)
    {
        ListenAddress? address = ListenAddress.Parse(text, out string? problem);
        Assert.Null(problem);
        Assert.Equal((loopback, url, endpoints), (address!.IsLoopback, address.Url, address.Addresses.Count));
    }

    [Theory]
    [InlineData("127.0.0.1:4318")]
    [InlineData("https://127.0.0.1:4318")]
    [InlineData("http://example.org:4318")]
    [InlineData("http://127.0.0.1:4318/path")]
    [InlineData("http://user@127.0.0.1:4318")]
    [InlineData("http://127.0.0.1:99999")]
    [InlineData("grpc://127.0.0.1")]
    [InlineData("grpcs://127.0.0.1:4317")]
    [InlineData("grpc://127.0.0.1:4317/path")]
    [InlineData("unix:/tmp/x")]
    [InlineData("")]
    public void These_are_not(string text)
    {
        Assert.Null(ListenAddress.Parse(text, out string? problem));
        Assert.Contains($"'{text}'", problem, StringComparison.Ordinal);
    }
}
