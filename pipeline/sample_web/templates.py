"""The four sites' page templates (Jinja2), with the noise around the text that real ones have.

In Python, so that the stage's fingerprint covers them.
"""

DOCS = """\
<!DOCTYPE html>
<html lang="{{ lang }}">
<head>
<meta charset="{{ charset }}">
<title>{{ title }} &#8212; {{ site }} documentation</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="canonical" href="{{ url }}">
<style>.sphinxsidebar{float:left;width:14em}.body{margin-left:15em}pre{background:#eee}</style>
<script>window.dataLayer = window.dataLayer || []; function track() { dataLayer.push(arguments);
}</script>
</head>
<body>
<div class="related" role="navigation" aria-label="Related">
<h3>Navigation</h3>
<ul>
<li><a href="/genindex.html" title="General Index">index</a></li>
<li><a href="/modindex.html" title="Module Index">modules</a> |</li>
{% for page in neighbours[:2] %}<li>
<a href="{{ page.url }}">{{ loop.cycle("next", "previous") }}</a> |</li>
{% endfor %}<li><a href="/">{{ site }} documentation</a> &#187;</li>
</ul>
</div>
<div class="document">
<div class="documentwrapper"><div class="bodywrapper">
<div class="body" role="main">
<h1>{{ title }}</h1>
{{ body }}
</div>
</div></div>
<div class="sphinxsidebar" role="navigation" aria-label="Main">
<form action="/search.html"><input name="q" placeholder="Quick search"><button>Go</button></form>
<h3>This Page</h3>
<ul><li><a href="/_sources{{ path }}.txt">Show Source</a></li></ul>
<h3>See also</h3>
<ul>
{% for page in neighbours %}<li><a href="{{ page.url }}">{{ page.title }}</a></li>
{% endfor %}</ul>
</div>
</div>
<div class="footer" role="contentinfo">&#169; Copyright the {{ site }} developers. Created using
a documentation generator.</div>
</body>
</html>
"""

BLOG = """\
<!doctype html>
<html lang="{{ lang }}">
<head>
<meta charset="{{ charset }}">
<title>{{ title }} | {{ site }}</title>
<meta property="og:type" content="article">
<meta property="og:title" content="{{ title }}">
<style>#cookie-banner{position:fixed;bottom:0}.widget{border:1px solid}</style>
</head>
<body class="single-post">
<div id="cookie-banner" class="cookie-consent">We use cookies to give you the best experience on
our site. <a href="/privacy">Read our privacy policy</a> <button>Accept all</button>
<button>Settings</button></div>
<header class="site-header"><a class="logo" href="/">{{ site }}</a>
<nav class="main-menu"><ul><li><a href="/">Home</a></li><li><a href="/archive">Archive</a></li>
<li><a href="/about">About</a></li><li><a href="/feed.xml">RSS</a></li></ul></nav>
</header>
<main>
<article class="post hentry">
<header class="entry-header"><h1 class="entry-title">{{ title }}</h1>
<p class="entry-meta">Posted by <a rel="author"
href="/author/{{ author|lower }}">{{ author }}</a> on <time
datetime="{{ date }}">{{ date }}</time> in <a href="/tag/{{ tag }}">{{ tag }}</a></p></header>
<div class="entry-content">
{{ body }}
</div>
<footer class="entry-footer"><div class="share">
<a href="/share/f">Share</a> <a href="/share/t">Tweet</a> <a href="/share/m">E-mail</a></div>
</footer>
</article>
<section class="related-posts"><h3>You might also like</h3><ul>
{% for page in neighbours[:5] %}<li><a href="{{ page.url }}">{{ page.title }}</a></li>
{% endfor %}</ul></section>
<section id="comments" class="comments"><h3>Comments are closed</h3>
<div class="widget tagcloud">
<a href="/tag/python">python</a> <a href="/tag/{{ tag }}">{{ tag }}</a> <a
href="/tag/howto">howto</a></div></aside>
<footer class="site-footer">&copy; 2017 {{ site }}. All rights reserved. <a
href="/imprint">Imprint</a></footer>
</body>
</html>
"""

NEWS = """\
<!DOCTYPE html>
<html lang="{{ lang }}">
<head>
<meta http-equiv="Content-Type" content="text/html; charset={{ charset }}">
<title>{{ title }} - {{ site }}</title>
<script type="application/ld+json">{"@context": "https://schema.org", "@type": "NewsArticle",
"headline": {{ title|tojson }}}</script>
</head>
<body>
<div id="page">
<div id="top"><ul class="nav-sections"><li><a href="/latest">Latest</a></li><li>
<a href="/tech">Technology</a></li><li><a href="/science">Science</a></li><li>
<a href="/opinion">Opinion</a></li><li><a href="/video">Video</a></li><li>
<a href="/login">Sign in</a></li></ul></div>
<div class="ad leaderboard" id="ad-1"><span>Advertisement</span><a href="/ads/click?1">
<img src="/ads/1.png" alt="Three months for the price of one"></a></div>
<div class="breadcrumb">
<a href="/">Home</a> &gt; <a href="/tech">Technology</a> &gt; {{ tag }}</div>
<div class="story">
<h1 class="headline">{{ title }}</h1>
<div class="byline">By {{ author }}, {{ date }}</div>
<div class="story-body">
{{ body }}
</div>
</div>
<div class="ad rectangle"><span>Advertisement</span>
<p>Faster builds with our cloud. Try it free for 30 days.</p></div>
<div class="most-read"><h2>Most read</h2><ol>
{% for page in neighbours %}<li><a href="{{ page.url }}">{{ page.title }}</a></li>
{% endfor %}</ol></div>
<div id="footer">
<a href="/terms">Terms of use</a> <a href="/privacy">Privacy</a> <a href="/contact">Contact
us</a> <span>Copyright 2017 {{ site }}</span></div>
</div>
<script src="/static/app.js" async></script>
<noscript><img src="/pixel.gif" alt=""></noscript>
</body>
</html>
"""

WIKI = """\
<!DOCTYPE html>
<html class="client-nojs" lang="{{ lang }}" dir="ltr">
<head>
<meta charset="{{ charset }}">
<title>{{ title }} - {{ site }}</title>
<meta name="generator" content="MediaWiki 1.30.0">
</head>
<body class="mediawiki ltr sitedir-ltr ns-0 ns-subject skin-vector action-view">
<div id="mw-page-base" class="noprint"></div>
<div id="content" class="mw-body" role="main">
<h1 id="firstHeading" class="firstHeading" lang="{{ lang }}">{{ title }}</h1>
<div id="bodyContent" class="mw-body-content">
<div id="siteSub">From Wikipedia, the free encyclopedia</div>
<div id="jump-to-nav" class="mw-jump">Jump to: <a href="#mw-head">navigation</a>, <a
href="#p-search">search</a></div>
<div id="mw-content-text" lang="{{ lang }}" dir="ltr" class="mw-content-ltr">
<div class="mw-parser-output">
{{ body }}
{% if mirror %}<p>This article uses material from the Wikipedia article "{{ title }}", which is
released under the Creative Commons Attribution-Share-Alike License 3.0. From Wikipedia, the
free encyclopedia.</p>
{% endif %}</div></div>
<div class="printfooter">Retrieved from
"<a
href="https://en.wikipedia.org/w/index.php?title={{ title|urlencode }}">{#
#}https://en.wikipedia.org/w/index.php?title={{ title|urlencode }}</a>"</div>
<div id="catlinks" class="catlinks"><a href="/wiki/Help:Category">Categories</a>: <ul><li>
<a href="/wiki/Category:Software">Software</a></li><li>
<a href="/wiki/Category:{{ tag }}">{{ tag }}</a></li></ul></div>
</div>
</div>
<div id="mw-navigation"><h2>Navigation menu</h2>
<ul><li><a href="/wiki/Main_Page">Main page</a></li><li>
<a href="/wiki/Portal:Contents">Contents</a></li><li>
<a href="/wiki/Special:Random">Random article</a></li></ul>
<ul>{% for page in neighbours[:4] %}<li><a href="{{ page.url }}">{{ page.title }}</a>
</li>{% endfor %}</ul></div>
<div id="footer"><ul><li>This page was last edited on {{ date }}.</li>
<li>Text is available under the Creative Commons Attribution-ShareAlike License; additional
terms may apply. Wikipedia&reg; is a registered trademark of the Wikimedia Foundation, Inc., a
non-profit organization.</li></ul></div>
</body>
</html>
"""

TEMPLATES = {"docs": DOCS, "blog": BLOG, "news": NEWS, "wiki": WIKI}
