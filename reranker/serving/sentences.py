"""Reasons in words that a shopper understands, in English and Chinese. Pure.

None speaks of goods: a fund is bought and an article is read as well. Only those of purchases,
carts and prices speak of buying; in the wording of media they do not, as what counts as a purchase
or a cart there is a share or a like.
A sentence of a deed names its item; where its title is not known, the one under `…_unnamed` is
said instead.
"""

from collections.abc import Mapping

from indexer.catalogue.mapping import Wording
from reranker.serving.reasons import Reason

ENDS = (".", "!", "?", "\N{IDEOGRAPHIC FULL STOP}")
# Key → English, Chinese; those of a deed name its item, those under `…_unnamed` do not.
SENTENCES: Mapping[str, tuple[str, str]] = {
    "bought_before": ("You bought this before.", "您以前买过。"),
    "in_cart": ("You put this in your cart before.", "您曾将其加入购物车。"),
    "looked_before": ("You looked at this before.", "您以前看过。"),
    "bought_with_purchase": (
        "Because you bought {title}: the two are often bought together.",
        "因为您买过{title}:两者常被一起购买。",
    ),
    "bought_with_purchase_unnamed": (
        "Often bought together with something you bought.",
        "常与您买过的一起购买。",
    ),
    "bought_with_cart": (
        "Often bought together with {title}, which you put in your cart.",
        "常与您加入购物车的{title}一起购买。",
    ),
    "bought_with_cart_unnamed": (
        "Often bought together with something you put in your cart.",
        "常与您加入购物车的一起购买。",
    ),
    "bought_with_view": (
        "Often bought together with {title}, which you looked at.",
        "常与您看过的{title}一起购买。",
    ),
    "bought_with_view_unnamed": (
        "Often bought together with something you looked at.",
        "常与您看过的内容一起购买。",
    ),
    "bought_with_seed": ("Often bought together with {title}.", "常与{title}一起购买。"),
    "bought_with_seed_unnamed": (
        "Often bought together with an item on this page.",
        "常与本页的内容一起购买。",
    ),
    "once_bought_with": (
        "Has been bought together with {title}.",
        "曾与{title}一起购买。",
    ),
    "once_bought_with_unnamed": (
        "Has been bought together with something you chose before.",
        "曾与您选过的一起购买。",
    ),
    "viewed_with": ("Has been looked at together with {title}.", "曾与{title}一起浏览。"),
    "viewed_with_unnamed": (
        "Has been looked at together with something you chose before.",
        "曾与您选过的内容一起浏览。",
    ),
    "because_purchase": ("Because you bought {title}.", "因为您买过{title}。"),
    "because_purchase_unnamed": ("Because of what you bought before.", "基于您以前的购买。"),
    "because_cart": ("Because you put {title} in your cart.", "因为您把{title}加入过购物车。"),
    "because_cart_unnamed": (
        "Because of what you put in your cart.",
        "基于您加入购物车的内容。",
    ),
    "because_view": ("Because you looked at {title}.", "因为您看过{title}。"),
    "because_view_unnamed": ("Because of what you looked at before.", "基于您以前的浏览。"),
    "because_seed": (
        "Often chosen by those who choose {title}.",
        "选择{title}的人也常选这一项。",
    ),
    "because_seed_unnamed": (
        "Often chosen by those who choose an item on this page.",
        "选择本页内容的人也常选这一项。",
    ),
    "like_purchase": ("Similar to {title}, which you bought.", "与您买过的{title}相似。"),
    "like_purchase_unnamed": ("Similar to something you bought.", "与您买过的相似。"),
    "like_cart": (
        "Similar to {title}, which you put in your cart.",
        "与您加入购物车的{title}相似。",
    ),
    "like_cart_unnamed": (
        "Similar to something you put in your cart.",
        "与您加入购物车的相似。",
    ),
    "like_view": ("Similar to {title}, which you looked at.", "与您看过的{title}相似。"),
    "like_view_unnamed": ("Similar to something you looked at.", "与您看过的内容相似。"),
    "like_seed": ("Similar to {title}.", "与{title}相似。"),
    "like_seed_unnamed": ("Similar to an item on this page.", "与本页的内容相似。"),
    "brand": ("From a brand you chose before.", "来自您选过的品牌。"),
    "category": ("From a category you chose before.", "来自您选过的类别。"),
    "popular_search": ("Popular for this search.", "搜索此内容的人常选这一项。"),
    "popular": ("Popular with others.", "很受大家欢迎。"),
    "others_bought": ("Others bought this.", "其他人也买过。"),
    "others_looked": ("Others looked at this.", "其他人也看过。"),
    "trending": ("Bought more than usual these days.", "近期购买的人增多。"),
    "code": ("Its code is what you searched for.", "编号与您搜索的一致。"),
    "all_words": ("Its title has the words you searched for.", "标题包含您搜索的词。"),
    "words": ("Matches your words.", "与您搜索的词匹配。"),
    "meaning": ("Close in meaning to your search.", "与您搜索的含义相近。"),
    "cheaper": ("Costs less than most here.", "价格低于这里的大多数。"),
    "usual_price": ("Near the price you usually pay.", "接近您平时的消费价位。"),
    "favourite": ("Popular here.", "这里很受欢迎。"),
    "in_catalogue": ("From what is new here.", "来自这里的新内容。"),
    "in_stock": ("Available now.", "目前可选。"),
    "same_domain": ("From the section you are in.", "来自您正在浏览的版块。"),
    "fits": ("Fits your search.", "符合您的搜索。"),
}
_CHOSEN = ("You chose this before.", "您以前选过。")
_CHOSEN_WITH = (
    "Often chosen together with {title}, which you chose.",
    "常与您选过的{title}一起被选择。",
)
_CHOSEN_WITH_UNNAMED = (
    "Often chosen together with something you chose before.",
    "常与您选过的内容一起被选择。",
)
_BECAUSE = ("Because you chose {title}.", "因为您选过{title}。")
_BECAUSE_UNNAMED = ("Because of what you chose before.", "基于您以前的选择。")
_LIKE = ("Similar to {title}, which you chose.", "与您选过的{title}相似。")
_LIKE_UNNAMED = ("Similar to something you chose before.", "与您选过的内容相似。")
# Those that speak of buying, where nothing is sold.
OF_MEDIA: Mapping[str, tuple[str, str]] = {
    "bought_before": _CHOSEN,
    "in_cart": _CHOSEN,
    "bought_with_purchase": _CHOSEN_WITH,
    "bought_with_purchase_unnamed": _CHOSEN_WITH_UNNAMED,
    "bought_with_cart": _CHOSEN_WITH,
    "bought_with_cart_unnamed": _CHOSEN_WITH_UNNAMED,
    "bought_with_view": (
        "Often chosen together with {title}, which you looked at.",
        "常与您看过的{title}一起被选择。",
    ),
    "bought_with_view_unnamed": (
        "Often chosen together with something you looked at.",
        "常与您看过的内容一起被选择。",
    ),
    "bought_with_seed": ("Often chosen together with {title}.", "常与{title}一起被选择。"),
    "bought_with_seed_unnamed": (
        "Often chosen together with an item on this page.",
        "常与本页的内容一起被选择。",
    ),
    "once_bought_with": ("Has been chosen together with {title}.", "曾与{title}一起被选择。"),
    "once_bought_with_unnamed": (
        "Has been chosen together with something you chose before.",
        "曾与您选过的内容一起被选择。",
    ),
    "because_purchase": _BECAUSE,
    "because_purchase_unnamed": _BECAUSE_UNNAMED,
    "because_cart": _BECAUSE,
    "because_cart_unnamed": _BECAUSE_UNNAMED,
    "like_purchase": _LIKE,
    "like_purchase_unnamed": _LIKE_UNNAMED,
    "like_cart": _LIKE,
    "like_cart_unnamed": _LIKE_UNNAMED,
    "others_bought": ("Others chose this.", "其他人也选过。"),
    "trending": ("Chosen more than usual these days.", "近期选择的人增多。"),
}
_IN: Mapping[Wording, Mapping[str, tuple[str, str]]] = {
    "shop": SENTENCES,
    "media": {**SENTENCES, **OF_MEDIA},
}


def say(told: Reason, language: str, title: str | None, wording: Wording = "shop") -> str:
    """The sentence; `language` beginning with `zh` is Chinese, every other one English."""
    unnamed = told.item_id is not None and not title
    english, chinese = _IN[wording][f"{told.key}_unnamed" if unnamed else told.key]
    sentence = chinese if language.casefold().startswith("zh") else english
    if title and title.endswith(ENDS) and sentence.endswith("{title}" + sentence[-1]):
        sentence = sentence[:-1]
    return sentence.format(title=title)
