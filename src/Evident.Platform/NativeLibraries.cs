using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Evident.Platform;

/// <summary>
/// Under JIT (build, tests) the native libraries are the distribution's shared ones. In the published binary they are
/// linked statically (<c>DirectPInvoke</c>) and no resolver is ever asked.
/// </summary>
public static class NativeLibraries
{
    private static readonly ConcurrentDictionary<string, nint> Loaded = new(StringComparer.Ordinal);
    private static bool ownMapped;

    /// <summary>Maps the import names <c>e_sqlite3</c>, <c>sodium</c> and <c>crypto</c> of an assembly; call before its first import.</summary>
    public static void Map(Assembly assembly) => NativeLibrary.SetDllImportResolver(assembly, Resolve);

    /// <summary>The same for this assembly, by whichever of its classes is used first.</summary>
    internal static void MapOwn()
    {
        lock (Loaded)
        {
            if (!ownMapped)
            {
                Map(typeof(NativeLibraries).Assembly);
                ownMapped = true;
            }
        }
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        string? file = name switch
        {
            "sodium" => OperatingSystem.IsWindows() ? "libsodium.dll" : "libsodium.so.23",
            "crypto" => "libcrypto.so.3",
            "e_sqlite3" => OperatingSystem.IsWindows() ? "e_sqlite3.dll" : "libsqlite3.so.0",
            _ => null,
        };
        return file is null ? 0 : Loaded.GetOrAdd(file, static f => NativeLibrary.Load(f));
    }
}
